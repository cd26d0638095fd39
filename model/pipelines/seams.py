"""Listen to what a pipeline's own calls return (encoder), and answer in their place (denoiser).
Imports torch: engine process only.

diffusers offers embeddings as arguments of its calls, too. But some of them multiply these by the
number of pictures and some do not, one class refuses them beside a picture, and those of editors
depend on a picture that is resized in between: the call itself knows best what it needs.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any, Final

import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

from ..errors import GenerationFailed, InvalidRequest
from .families import Seam
from .handover import Packing, unpacked

Call = Callable[..., Any]


class Listening:
    """Notes the results at ``seams``, in their order."""

    def __init__(self, seams: tuple[Seam, ...], packing: Packing) -> None:
        self._packing = packing
        self._pictures: list[Any] = []
        self.made: dict[str, list[Any]] = {seam: [] for seam in seams}

    @contextmanager
    def to(self, pipeline: Any) -> Iterator[None]:
        """While this lasts."""
        with ExitStack() as stack:
            for seam, (owner, name) in _places(pipeline, tuple(self.made)).items():
                note = self._latents if seam == Seam.LATENTS else self._result
                heard = functools.partial(note, seam, getattr(owner, name))
                stack.enter_context(_replaced(owner, name, heard))
            yield

    def _result(self, seam: str, call: Call, *given: Any, **named: Any) -> Any:
        result = call(*given, **named)
        made = self.made[seam]
        made.append(self._packing.packed(f"{seam}.{len(made)}", result))
        return result

    def _latents(self, seam: str, call: Call, picture: Any, *given: Any, **named: Any) -> Any:
        """The distribution, not what was drawn from it: that takes the seed's numbers, in turn with
        the noise. Some calls encode a picture once for each copy."""
        output = call(picture, *given, **named)
        made = self.made[seam]
        for before, packed in zip(self._pictures, made, strict=True):
            if before.shape == picture.shape and torch.equal(before, picture):
                made.append(packed)
                break
        else:
            name = f"{seam}.{len(made)}"
            made.append(self._packing.packed(name, _taken_apart(output)))
        self._pictures.append(picture)
        return output


class Answering:
    """Hands out what was noted, in its order.

    Raises, of the calls:
        InvalidRequest: there is no more, so another request was encoded than the one at hand.
    """

    def __init__(
        self, made: Mapping[str, Any], tensors: Mapping[str, Any], device: torch.device
    ) -> None:
        self._left = {seam: list(packed) for seam, packed in made.items()}
        self._tensors = tensors
        self._device = device

    @contextmanager
    def for_(self, pipeline: Any) -> Iterator[None]:
        """While this lasts."""
        with ExitStack() as stack:
            for seam, (owner, name) in _places(pipeline, tuple(Seam)).items():
                answer = functools.partial(self._next, seam)
                stack.enter_context(_replaced(owner, name, answer))
            yield

    def check_used(self) -> None:
        """Raises:
        InvalidRequest: something is left over.
        """
        over = [seam for seam, packed in self._left.items() if packed]
        if over:
            raise InvalidRequest("facts", f"hold more of {', '.join(over)} than the call takes")

    def _next(self, seam: str, *_given: Any, **_named: Any) -> Any:
        if not self._left.get(seam):
            raise InvalidRequest("facts", f"hold too little of {seam} for this request")
        found = unpacked(self._left[seam].pop(0), self._tensors, self._device)
        return _put_together(found) if seam == Seam.LATENTS else found


def _taken_apart(output: Any) -> Any:
    """Of the forms that the adapted VAE returns (W50)."""
    distribution = getattr(output, "latent_dist", None)
    if isinstance(distribution, DiagonalGaussianDistribution):
        return ("gaussian", distribution.parameters, distribution.deterministic)
    if hasattr(output, "latents"):
        return ("latents", output.latents)
    raise GenerationFailed(
        f"the VAE returned {type(distribution or output).__name__}, which cannot be handed to a "
        "denoiser; serve this model with --role monolithic"
    )


def _put_together(found: Any) -> Any:
    match found:
        case ("gaussian", torch.Tensor() as parameters, bool(deterministic)):
            distribution = DiagonalGaussianDistribution(parameters, deterministic)
            return SimpleNamespace(latent_dist=distribution)
        case ("latents", torch.Tensor() as latents):
            return SimpleNamespace(latents=latents)
    raise InvalidRequest("facts", f"hold something else than latents at {Seam.LATENTS}")


def _places(pipeline: Any, seams: tuple[str, ...]) -> dict[str, tuple[Any, str]]:
    """The objects whose methods these are, where the pipeline has them."""
    found = {}
    for seam in seams:
        component, _, name = seam.rpartition(".")
        owner = getattr(pipeline, component, None) if component else pipeline
        if hasattr(owner, name):
            found[seam] = (owner, name)
    return found


_ABSENT: Final = object()


@contextmanager
def _replaced(owner: Any, name: str, call: Call) -> Iterator[None]:
    before = vars(owner).get(name, _ABSENT)
    setattr(owner, name, call)
    try:
        yield
    finally:
        with contextlib.suppress(AttributeError):
            delattr(owner, name)
        if before is not _ABSENT:
            setattr(owner, name, before)
