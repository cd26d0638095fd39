"""The v2 gRPC protocol through tritonclient, as a user of it would."""

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from .errors import NotMeasurable
from .rest import OUTPUT, Parameters

# It carries no types.
triton: Final[Any] = importlib.import_module("tritonclient.grpc")
triton_errors: Final[Any] = importlib.import_module("tritonclient.utils")


class GrpcClient:
    """One channel, kept."""

    def __init__(self, address: str) -> None:
        self._client = triton.InferenceServerClient(address)

    def close(self) -> None:
        self._client.close()

    def draw(self, model: str, prompt: str, parameters: Parameters) -> list[bytes]:
        """Encoded pictures."""
        tensor = triton.InferInput("prompt", [1], "BYTES")
        tensor.set_data_from_numpy(np.array([prompt.encode()], dtype=np.object_))
        try:
            answer = self._client.infer(model, [tensor], parameters=_without_floats(parameters))
        except triton_errors.InferenceServerException as error:
            raise NotMeasurable(f"gRPC inference: {error}") from error
        return [bytes(each) for each in answer.as_numpy(OUTPUT)]


@contextlib.contextmanager
def grpc_client(address: str) -> Iterator[GrpcClient]:
    with contextlib.closing(GrpcClient(address)) as client:
        yield client


def _without_floats(parameters: Parameters) -> dict[str, Any]:
    """KServe's protobuf has no floating-point parameter: those travel as text."""
    return {k: str(v) if isinstance(v, float) else v for k, v in parameters.items()}
