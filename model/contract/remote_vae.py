"""Latents that no denoiser of a chain made, as diffusers' remote VAE protocol has them decoded."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

# The fact of a stage that says so, and the tensors that go in and out: latents
# [n, channels, ...], pictures [n, 3, height, width] or videos [n, 3, frames, height, width] between
# -1 and 1, in the type of the VAE.
FACT: Final = "remote_vae"
LATENTS: Final = "latents"
DECODED: Final = "decoded"

Factor = Annotated[float, Field(allow_inf_nan=False)]
Side = Annotated[int, Field(gt=0)]


class BareLatents(BaseModel):
    """``own_scaling``: the latents are scaled as the model wants it, and the decoder knows how.
    ``scaling_factor``, ``shift_factor``: as the caller says. Neither: they are ready for the VAE.
    ``height``, ``width``: of the picture, in pixels, where latents are packed. ``most_pixels``: of
    one picture.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    own_scaling: bool
    scaling_factor: Factor | None
    shift_factor: Factor | None
    height: Side | None
    width: Side | None
    most_pixels: int
