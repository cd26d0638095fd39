"""The v2 gRPC protocol through tritonclient, as a user of it would."""

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from .errors import NotMeasurable
from .rest import OUTPUT, Parameters


class GrpcClient:
    """One channel, kept."""

    def __init__(self, address: str) -> None:
        # Imported by need: its messages bear the names of kserve's, and one process holds one of
        # the two. It carries no types.
        self._triton: Any = importlib.import_module("tritonclient.grpc")
        self._refusal: Any = importlib.import_module("tritonclient.utils").InferenceServerException
        self._client = self._triton.InferenceServerClient(address)

    def close(self) -> None:
        self._client.close()

    def draw(self, model: str, prompt: str, parameters: Parameters) -> list[bytes]:
        """Encoded pictures."""
        tensor = self._triton.InferInput("prompt", [1], "BYTES")
        tensor.set_data_from_numpy(np.array([prompt.encode()], dtype=np.object_))
        try:
            answer = self._client.infer(model, [tensor], parameters=_without_floats(parameters))
        except self._refusal as error:
            raise NotMeasurable(f"gRPC inference: {error}") from error
        return [bytes(each) for each in answer.as_numpy(OUTPUT)]


@contextlib.contextmanager
def grpc_client(address: str) -> Iterator[GrpcClient]:
    with contextlib.closing(GrpcClient(address)) as client:
        yield client


def _without_floats(parameters: Parameters) -> dict[str, Any]:
    """KServe's protobuf has no floating-point parameter: those travel as text."""
    return {k: str(v) if isinstance(v, float) else v for k, v in parameters.items()}
