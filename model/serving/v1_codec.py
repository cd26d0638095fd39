"""KServe v1: ``{"instances": [{"prompt": ..., ...}]}`` in, ``{"predictions": [...]}`` out. Each
instance is a v2 request of its own.
"""

import uuid
from typing import Any

from kserve import InferInput, InferRequest, InferResponse

from ..errors import InvalidRequest
from .card import TENSOR_INPUTS


def read_instance(instance: Any, number: int) -> InferRequest:
    """One instance as a v2 request. Pictures are base64.

    Raises:
        InvalidRequest: naming the instance.
    """
    if not isinstance(instance, dict):
        raise InvalidRequest(f"instances[{number}]", "must be an object with a prompt")
    for name in TENSOR_INPUTS:
        if name in instance and not isinstance(instance[name], str):
            raise InvalidRequest(f"instances[{number}].{name}", "must be text")
    return InferRequest(
        model_name="",
        infer_inputs=[
            InferInput(name, [1], "BYTES", [instance[name]])
            for name in TENSOR_INPUTS
            if name in instance
        ],
        request_id=uuid.uuid4().hex,
        parameters={name: value for name, value in instance.items() if name not in TENSOR_INPUTS},
    )


def predictions(responses: list[InferResponse]) -> dict[str, Any]:
    """One prediction for each response, in order: the output by its name, and the parameters."""
    return {
        "predictions": [
            {**{output.name: output.data for output in each.outputs}, **each.parameters}
            for each in responses
        ]
    }
