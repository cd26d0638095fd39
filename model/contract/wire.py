"""The header of what one role sends another: what the tensors are, before a byte of them is used.

The tensors themselves are the bytes of a safetensors file, right behind it. The header is JSON, so
that a process without torch or numpy can judge, route and refuse them.
"""

import json
import math
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from .roles import Role

# What this program writes, and what it reads: its own version, and the one before where there is
# one. A new field with a default is no new version: who does not know it ignores it.
WIRE_VERSION: Final = 1
READABLE_VERSIONS: Final = (1,)

# Bytes of one element, by safetensors' name of the type.
ELEMENT_BYTES: Final = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "F8_E5M2": 1,
    "F8_E4M3": 1,
    "I16": 2,
    "U16": 2,
    "F16": 2,
    "BF16": 2,
    "I32": 4,
    "U32": 4,
    "F32": 4,
    "I64": 8,
    "U64": 8,
    "F64": 8,
}
MOST_DIMENSIONS: Final = 16
LONGEST_NAME: Final = 200

Whole = Annotated[int, Field(ge=0)]
Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]


class Stage(StrEnum):
    """``encode``: a request to conditioning. ``denoise``: conditioning to latents. ``decode``:
    latents to pixels.
    """

    ENCODE = "encode"
    DENOISE = "denoise"
    DECODE = "decode"


STAGE_OF: Final = {
    Role.ENCODER: Stage.ENCODE,
    Role.DENOISER: Stage.DENOISE,
    Role.DECODER: Stage.DECODE,
}


class TensorEntry(BaseModel):
    """``offset`` and ``size`` in bytes, from the end of safetensors' own header."""

    model_config = ConfigDict(frozen=True, strict=True)

    name: Name
    dtype: str
    shape: Annotated[tuple[Whole, ...], Field(max_length=MOST_DIMENSIONS, strict=False)]
    offset: Whole
    size: Whole

    @field_validator("dtype")
    @classmethod
    def _known(cls, dtype: str) -> str:
        if dtype not in ELEMENT_BYTES:
            raise ValueError(f"{dtype[:20]!r} is none of {', '.join(ELEMENT_BYTES)}")
        return dtype

    @model_validator(mode="after")
    def _fits(self) -> Self:
        needed = math.prod(self.shape) * ELEMENT_BYTES[self.dtype]
        if needed != self.size:
            raise ValueError(
                f"{self.name[:100]!r} of {list(self.shape)} {self.dtype} takes {needed} bytes, and "
                f"size says {self.size}"
            )
        return self


class Header(BaseModel):
    """``revision``: of the model that made the tensors; empty where any will do. ``facts``: what
    the stage must know beside tensors. ``size``: of the safetensors bytes. ``checksum``: their
    CRC-32C. ``warmup``: nobody waits for the result, and no user's metric counts it (W28).
    """

    model_config = ConfigDict(frozen=True, strict=True)

    version: int = WIRE_VERSION
    stage: Annotated[Stage, Field(strict=False)]
    request_id: Name
    revision: Annotated[str, Field(max_length=LONGEST_NAME)] = ""
    facts: dict[str, JsonValue] = {}
    tensors: Annotated[tuple[TensorEntry, ...], Field(strict=False)]
    size: Whole
    checksum: Annotated[int, Field(ge=0, lt=2**32)]
    warmup: bool = False

    @field_validator("facts")
    @classmethod
    def _is_json(cls, facts: dict[str, JsonValue]) -> dict[str, JsonValue]:
        try:
            json.dumps(facts, allow_nan=False)
        except ValueError:
            problem = "hold NaN or infinity, which JSON has not; send them as a tensor"
            raise ValueError(problem) from None
        return facts

    @model_validator(mode="after")
    def _covers(self) -> Self:
        """Every byte of the data belongs to one tensor, as safetensors wants it."""
        names = [each.name for each in self.tensors]
        if len(set(names)) != len(names):
            raise ValueError("tensors: a name is there twice")
        end = 0
        for each in sorted(self.tensors, key=lambda each: (each.offset, each.size)):
            if each.offset != end:
                raise ValueError(
                    f"tensors: {each.name[:100]!r} begins at {each.offset}, and the one before "
                    f"ends at {end}"
                )
            end += each.size
        if self.size < end:
            raise ValueError(f"size: {self.size} bytes cannot hold tensors of {end}")
        return self


class Announced(BaseModel):
    """What every version of the header has."""

    model_config = ConfigDict(strict=True)

    version: int
