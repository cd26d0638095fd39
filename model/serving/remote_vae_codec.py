"""diffusers' remote VAE protocol, without torch: raw latents in, a picture or a raw tensor out.

What a request may say is what ``diffusers.utils.remote_utils.remote_decode`` sends: parameters in
the query, the latents' bytes as the body. Answers of tensors tell type and shape in headers.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import numpy as np

from ..contract.remote_vae import FACT, LATENTS, BareLatents
from ..contract.wire import Stage
from ..errors import InvalidRequest
from ..transport.payload import Payload, pack
from ..transport.protocol import StageResult
from ..transport.safetensors_index import read_index, write_index

DTYPES: Final = {"float16": "F16", "bfloat16": "BF16", "float32": "F32"}
DTYPE_BYTES: Final = {"float16": 2, "bfloat16": 2, "float32": 4}
DTYPE_OF: Final = {name: dtype for dtype, name in DTYPES.items()}
IMAGE_FORMATS: Final = {"png": "png", "jpg": "jpeg"}
OUTPUT_TYPES: Final = ("pil", "pt")
TRUTHS: Final = {"true": True, "false": False}
LATENT_DIMENSIONS: Final = (3, 4, 5)
VIDEO_DIMENSIONS: Final = 5


@dataclass(frozen=True, slots=True)
class Bounds:
    """``pictures``, or videos, in one request; ``frames`` of all of them; ``pixels`` of each."""

    pictures: int
    frames: int
    pixels: int


@dataclass(frozen=True, slots=True)
class Decode:
    """``bare``: what the stage has to know. The rest is about what comes back."""

    dtype: str
    shape: tuple[int, ...]
    output_type: str
    image_format: str
    partial_postprocess: bool
    bare: BareLatents

    def payload(self, latents: bytes) -> Payload:
        """
        Raises:
            InvalidRequest: the body has not as many bytes as shape and dtype say.
        """
        needed = math.prod(self.shape) * DTYPE_BYTES[self.dtype]
        if len(latents) != needed:
            raise InvalidRequest(
                "body",
                f"has {len(latents)} bytes, and {list(self.shape)} of {self.dtype} are {needed}",
            )
        index = write_index([(LATENTS, DTYPES[self.dtype], self.shape, needed)])
        facts = {FACT: self.bare.model_dump()}
        return pack(Stage.DECODE, uuid4().hex, index + latents, facts)


def read(query: Mapping[str, str], shape: Sequence[str], bounds: Bounds) -> Decode:
    """The parameters of a request. ``shape``: all values of that name.

    Raises:
        InvalidRequest: naming the parameter.
    """
    output_type = _one_of(query, "output_type", OUTPUT_TYPES, "pil")
    packed = len(shape) == min(LATENT_DIMENSIONS)
    bare = BareLatents(
        own_scaling=_truth(query, "do_scaling"),
        scaling_factor=_number(query, "scaling_factor"),
        shift_factor=_number(query, "shift_factor"),
        height=_whole(query, "height"),
        width=_whole(query, "width"),
        most_pixels=bounds.pixels,
    )
    found = Decode(
        dtype=_one_of(query, "dtype", tuple(DTYPES), ""),
        shape=_shape(shape, bounds),
        output_type=output_type,
        image_format=IMAGE_FORMATS[_one_of(query, "image_format", tuple(IMAGE_FORMATS), "jpg")],
        partial_postprocess=_truth(query, "partial_postprocess"),
        bare=bare,
    )
    if packed and (bare.height is None or bare.width is None):
        raise InvalidRequest("height, width", "are needed for packed latents, which have 3 axes")
    if bare.scaling_factor == 0:
        raise InvalidRequest("scaling_factor", "latents are divided by it; 0 is none")
    return found


@dataclass(frozen=True, slots=True)
class Tensor:
    """An answer that is no picture: its bytes, with what tells them."""

    data: bytes
    dtype: str
    shape: tuple[int, ...]

    @property
    def headers(self) -> dict[str, str]:
        return {"shape": json.dumps(self.shape), "dtype": self.dtype}


def raw(result: StageResult) -> Tensor:
    """What the VAE gave, as it is."""
    (entry,) = read_index(result.data)
    data = result.data[len(result.data) - entry.size :]
    return Tensor(data, DTYPE_OF[entry.dtype], entry.shape)


def pictures(result: StageResult) -> Any:
    """uint8 [pictures or frames, height, width, 3]."""
    return (_zero_to_one(result).transpose(0, 2, 3, 1) * 255).round().astype(np.uint8)


def fractions(result: StageResult) -> Tensor:
    """float32 [pictures or frames, 3, height, width], between 0 and 1."""
    found = _zero_to_one(result)
    return Tensor(found.tobytes(), "float32", found.shape)


def bytes_of(found: Any) -> Tensor:
    """Of ``pictures``."""
    return Tensor(found.tobytes(), "uint8", found.shape)


def _zero_to_one(result: StageResult) -> Any:
    tensor = raw(result)
    values = _as_float32(tensor).reshape(tensor.shape)
    if values.ndim == 5:  # videos: the frames of all, one after another
        values = values.transpose(0, 2, 1, 3, 4).reshape(-1, *values.shape[1:2], *values.shape[3:])
    return np.clip(values / 2 + 0.5, 0, 1)


def _as_float32(tensor: Tensor) -> Any:
    if tensor.dtype == "bfloat16":  # numpy has none: it is the upper half of a float32
        halves = np.frombuffer(tensor.data, np.uint16).astype(np.uint32)
        return (halves << 16).view(np.float32)
    return np.frombuffer(tensor.data, tensor.dtype).astype(np.float32)


def _shape(given: Sequence[str], bounds: Bounds) -> tuple[int, ...]:
    sizes = tuple(int(each) for each in given if each.isascii() and each.isdigit() and int(each))
    if len(sizes) != len(given) or len(sizes) not in LATENT_DIMENSIONS:
        raise InvalidRequest("shape", "must be given 3 to 5 times, each a size above 0")
    if sizes[0] > bounds.pictures:
        raise InvalidRequest(
            "shape", f"is of {sizes[0]} pictures; at most {bounds.pictures} are drawn at once"
        )
    frames = sizes[0] * sizes[2]
    if len(sizes) == VIDEO_DIMENSIONS and frames > bounds.frames:
        raise InvalidRequest(
            "shape", f"is of {frames} frames; at most {bounds.frames} are drawn at once"
        )
    return sizes


def _one_of(query: Mapping[str, str], name: str, choices: Sequence[str], default: str) -> str:
    given = query.get(name, default)
    if given not in choices:
        raise InvalidRequest(name, f"must be one of {', '.join(choices)}")
    return given


def _truth(query: Mapping[str, str], name: str) -> bool:
    given = query.get(name, "false").lower()
    if given not in TRUTHS:
        raise InvalidRequest(name, "must be True or False")
    return TRUTHS[given]


def _number(query: Mapping[str, str], name: str) -> float | None:
    if name not in query:
        return None
    try:
        found = float(query[name])
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise InvalidRequest(name, "must be a finite number")
    return found


def _whole(query: Mapping[str, str], name: str) -> int | None:
    if name not in query:
        return None
    given = query[name]
    if not (given.isascii() and given.isdigit() and 0 < int(given) < 2**16):
        raise InvalidRequest(name, "must be a number of pixels")
    return int(given)
