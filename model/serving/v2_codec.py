"""Between KServe's ``InferRequest``/``InferResponse`` and Kiln's request and generation, for REST
and gRPC alike. What comes out is decided before the model runs.
"""

import base64
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from kserve import InferInput, InferOutput, InferRequest, InferResponse
from kserve.protocol.infer_type import to_http_parameters

from ..contract.generation import Generation, GenerationRequest
from ..errors import InvalidRequest
from ..media.decode import decode_mask, decode_picture
from ..media.decode_video import Bounds, Video, Wish, check_frames, decode_video
from ..pipelines.parameters import BY_NAME
from ..pipelines.requests import Ask, output_format
from ..settings import Settings
from .card import (
    GENERATED_IMAGE,
    GENERATED_VIDEO,
    IMAGE,
    LAST_IMAGE,
    MASK,
    NEGATIVE_PROMPT,
    PROMPT,
    TENSOR_INPUTS,
    VIDEO,
    output_name,
)
from .tensors import files, frames, scalar, texts

BINARY_DATA_OUTPUT: Final = "binary_data_output"
BINARY_DATA: Final = "binary_data"
OUTPUTS: Final = (GENERATED_IMAGE, GENERATED_VIDEO)
LARGEST_RAW_JSON: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Answer:
    """How the caller wants it. ``output_format`` and ``output`` (the tensor's name) are None where
    the request names none. ``binary``: bytes after the JSON (REST) or raw contents (gRPC).
    """

    id: str
    output_format: str | None
    binary: bool
    from_grpc: bool
    output: str | None = None


def decode(request: InferRequest, settings: Settings, fit: bool = True) -> tuple[Ask, Answer]:
    """Read a request. ``fit``: input pictures are brought to the size that it names; otherwise they
    keep their own, for a model that looks at several. Of an input video, no more frames are decoded
    than it names.

    Raises:
        InvalidRequest: naming the input, parameter or output that is wrong.
    """
    tensors = _by_name(request.inputs)
    parameters = dict(to_http_parameters(request.parameters or {}))
    binary = bool(request.from_grpc) or _flag(
        BINARY_DATA_OUTPUT, parameters.pop(BINARY_DATA_OUTPUT, False)
    )
    output, binary = _requested_output(request, binary)
    for name in set(tensors) - set(TENSOR_INPUTS):
        if name in parameters:
            raise InvalidRequest(name, "is given as a parameter and as a tensor; give one")
        parameters[name] = scalar(tensors[name])
    chosen = parameters.get("output_format")
    if chosen is not None:
        chosen = BY_NAME["output_format"].parse(chosen)
    size = (_side(parameters, "width"), _side(parameters, "height")) if fit else (None, None)
    pixels = settings.max_pixels
    video = _video(tensors, parameters, settings)
    ask = Ask(
        prompts=texts(tensors[PROMPT]) if PROMPT in tensors else (),
        negative_prompts=texts(tensors[NEGATIVE_PROMPT]) if NEGATIVE_PROMPT in tensors else None,
        images=tuple(
            decode_picture(each, IMAGE, pixels, size) for each in _files(tensors, IMAGE, settings)
        ),
        last_images=tuple(
            decode_picture(each, LAST_IMAGE, pixels, size)
            for each in _files(tensors, LAST_IMAGE, settings)
        ),
        videos=() if video is None else (video.frames,),
        video_fps=None if video is None else video.fps,
        parameters=parameters,
        id=str(request.id or ""),
    )
    if ask.images:
        size = (ask.images[0].shape[1], ask.images[0].shape[0])
    masks = tuple(decode_mask(each, MASK, pixels, size) for each in _files(tensors, MASK, settings))
    ask = replace(ask, masks=masks)
    return ask, Answer(ask.id, chosen, binary, bool(request.from_grpc), output)


def settled(answer: Answer, request: GenerationRequest, settings: Settings) -> Answer:
    """The answer that this request gets. Refuses, before the model runs, what could not be sent.

    Raises:
        InvalidRequest: a format or an output that the task does not have; raw pixels as JSON
            numbers, by the million.
    """
    chosen = output_format(request.task, answer.output_format, settings)
    output = output_name(request.task)
    if answer.output not in (None, output):
        raise InvalidRequest("outputs", f"{request.task} has no {answer.output}, but {output}")
    numbers = math.prod(request.pixel_shape)
    if chosen == "raw" and not answer.binary and numbers > LARGEST_RAW_JSON:
        encoded = "mp4" if request.task.makes_video else "png"
        raise InvalidRequest(
            "output_format",
            f"raw would be {numbers} JSON numbers; ask for binary_data_output, or for {encoded}",
        )
    return replace(answer, output_format=chosen, output=output)


def encode(
    generation: Generation,
    files: list[bytes] | None,
    answer: Answer,
    parameters: Mapping[str, Any],
    model: tuple[str, str],
) -> InferResponse:
    """``files``: encoded pictures or videos, or None for raw pixels. ``answer``: settled.
    ``model``: its name and version."""
    if files is None:
        pixels = generation.pixels
        data: Any = pixels if answer.binary else pixels.ravel().tolist()
        output = InferOutput(answer.output, list(pixels.shape), "UINT8", data)
    else:
        shape = [len(files)]
        data = (
            np.array(files, dtype=np.object_)
            if answer.binary
            else [base64.b64encode(each).decode("ascii") for each in files]
        )
        output = InferOutput(answer.output, shape, "BYTES", data)
    return InferResponse(
        response_id=generation.id,
        model_name=model[0],
        model_version=model[1],
        infer_outputs=[output],
        parameters=_without_floats(parameters) if answer.from_grpc else dict(parameters),
        # gRPC sends arrays raw by itself; told to, it trips over arrays of several elements.
        use_binary_outputs=answer.binary and not answer.from_grpc,
        from_grpc=answer.from_grpc,
    )


def _by_name(inputs: Iterable[InferInput]) -> dict[str, InferInput]:
    found: dict[str, InferInput] = {}
    known = (*TENSOR_INPUTS, *BY_NAME)
    for tensor in inputs:
        if tensor.name not in known:
            raise InvalidRequest(
                str(tensor.name)[:100], f"is not an input; known are {', '.join(known)}"
            )
        if tensor.name in found:
            raise InvalidRequest(tensor.name, "is given twice")
        found[tensor.name] = tensor
    return found


def _files(tensors: Mapping[str, InferInput], name: str, settings: Settings) -> tuple[bytes, ...]:
    if name not in tensors:
        return ()
    found = files(tensors[name])
    if len(found) > settings.max_images:
        raise InvalidRequest(name, f"has {len(found)} pictures; at most {settings.max_images}")
    return found


def _video(
    tensors: Mapping[str, InferInput], parameters: Mapping[str, Any], settings: Settings
) -> Video | None:
    """The one video, as MP4 or as frames."""
    if VIDEO not in tensors:
        return None
    tensor = tensors[VIDEO]
    bounds = Bounds(settings.max_pixels, settings.max_frames, settings.max_video_pixels)
    wish = Wish(
        (_side(parameters, "width"), _side(parameters, "height")),
        BY_NAME["num_frames"].parse(parameters["num_frames"])
        if "num_frames" in parameters
        else None,
    )
    if tensor.datatype == "UINT8":
        return check_frames(frames(tensor), VIDEO, bounds, wish)
    if tensor.datatype != "BYTES":
        raise InvalidRequest(
            VIDEO,
            f"must be BYTES (an MP4 file) or UINT8 [frames, height, width, 3], not "
            f"{str(tensor.datatype)[:20]}",
        )
    found = files(tensor)
    if len(found) > 1:
        raise InvalidRequest(VIDEO, f"has {len(found)} elements; one is taken")
    return decode_video(found[0], VIDEO, bounds, wish)


def _side(parameters: Mapping[str, Any], name: str) -> int | None:
    """The size that input pictures are brought to; None leaves them as they are. Bounded here,
    since the picture is made before the request is checked."""
    if name not in parameters:
        return None
    side: int = BY_NAME[name].parse(parameters[name])
    return min(side, 16_384)


def _requested_output(request: InferRequest, default: bool) -> tuple[str | None, bool]:
    """The name of the output that the request asks for, if it does, and whether it is binary."""
    name, binary = None, default
    for output in request.request_outputs or ():
        if output.name not in OUTPUTS:
            raise InvalidRequest(
                "outputs",
                f"there is no {str(output.name)[:100]!r}; known are {' and '.join(OUTPUTS)}",
            )
        if name is not None:
            raise InvalidRequest("outputs", "has more than the one output that there is")
        name = str(output.name)
        for key, value in (output.parameters or {}).items():
            if key != BINARY_DATA:
                raise InvalidRequest(f"outputs[{name}].{str(key)[:100]}", "is not supported")
            binary = binary if request.from_grpc else _flag(BINARY_DATA, value)
    return name, binary


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidRequest(name, "must be true or false")
    return value


def _without_floats(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """KServe's gRPC parameters hold bool, int64 and string only."""
    return {
        name: str(value) if isinstance(value, float) else value
        for name, value in parameters.items()
    }
