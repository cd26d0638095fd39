"""From what a client asked for to encoded files: the way that every protocol's request takes."""

import time
from dataclasses import dataclass
from typing import Any

from ..contract.generation import Generation, GenerationRequest
from ..contract.sampling import Shape
from ..contract.watching import Watch
from .context import Serving

RAW = "raw"


@dataclass(frozen=True, slots=True)
class Drawn:
    """``files``: one for each picture or video, or None where raw pixels were asked for. ``facts``:
    scalars about how it was drawn, by the names that the v2 protocol's answers have.
    """

    generation: Generation
    files: list[bytes] | None
    facts: dict[str, Any]


def revision(serving: Serving) -> str:
    """Of the model; empty before it is loaded."""
    description = serving.role.description
    return description.revision if description else ""


async def draw(
    serving: Serving,
    wanted: GenerationRequest,
    output_format: str,
    quality: int | None = None,
    watch: Watch | None = None,
) -> Drawn:
    """Queue, draw and encode ``wanted``. ``quality``: 0 to 100, of formats that lose something, in
    place of the format's own. ``watch`` hears of it meanwhile.

    Raises:
        RequestError: what went wrong with it.
    """
    generation = await serving.role.generate(wanted, watch)
    drawn = time.monotonic()
    files = None
    if output_format != RAW:
        files = await serving.pool.encode_all(
            generation.pixels,
            output_format,
            _descriptions(serving, generation),
            wanted.sampling.fps or 0.0,
            quality,
        )
    encoding = time.monotonic() - drawn
    serving.metrics.stage_seconds.labels("encode").observe(encoding)
    facts = {
        **_facts(generation, output_format, revision(serving), wanted.sampling.fps),
        "encode_s": round(encoding, 4),
    }
    return Drawn(generation, files, facts)


def _descriptions(serving: Serving, generation: Generation) -> list[dict[str, object]]:
    """What a file says of itself: nothing, where the settings say so."""
    if not serving.settings.file_metadata:
        return [{} for _ in generation.seeds]
    return [
        {
            "model": serving.name,
            "revision": revision(serving),
            "seed": seed,
            "steps": generation.steps,
            "size": f"{generation.shape.width}x{generation.shape.height}",
        }
        for seed in generation.seeds
    ]


def _facts(
    generation: Generation, output_format: str, model_revision: str, fps: float | None
) -> dict[str, Any]:
    timings = generation.timings
    return {
        "seeds": ",".join(str(each) for each in generation.seeds),
        "num_inference_steps": generation.steps,
        "width": generation.shape.width,
        "height": generation.shape.height,
        **_video_facts(generation.shape, fps),
        "output_format": output_format,
        "model_revision": model_revision,
        "batch_size": generation.shape.batch,
        "cold_shape": generation.cold_shape,
        **_eager_facts(generation),
        "queue_s": round(timings.queue, 4),
        "prepare_s": round(timings.prepare, 4),
        "denoise_s": round(sum(timings.steps), 4),
        "decode_s": round(timings.decode, 4),
        **generation.notes,
    }


def _eager_facts(generation: Generation) -> dict[str, Any]:
    """W40: only where a server compiles, and did not have the code for this request."""
    return {"eager_calls": generation.eager_calls} if generation.eager_calls else {}


def _video_facts(shape: Shape, fps: float | None) -> dict[str, Any]:
    return {"num_frames": shape.frames, "fps": fps} if shape.task.makes_video else {}
