"""All that needs kserve, under one name: importing it takes seconds, so the server imports this
module in a thread once its port is up.
"""

from kserve import ModelRepository

from .data_plane import GatedDataPlane
from .diffusion_model import DiffusionModel
from .grpc_server import GrpcServer

__all__ = ["DiffusionModel", "GatedDataPlane", "GrpcServer", "ModelRepository"]
