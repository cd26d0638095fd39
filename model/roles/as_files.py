"""The last part of a user's request, for warmups: the first PNG of a process is slower, too."""

from ..contract.generation import Generation, GenerationRequest
from ..media.encode import EncodePool
from ..pipelines.requests import output_format
from ..settings import Settings


async def encode_as_users(
    pool: EncodePool, settings: Settings, request: GenerationRequest, generation: Generation
) -> None:
    """In the format that a request gets which names none; the files are thrown away."""
    chosen = output_format(request.task, None, settings)
    if chosen == "raw":
        return
    facts: list[dict[str, object]] = [{"seed": seed} for seed in generation.seeds]
    await pool.encode_all(generation.pixels, chosen, facts, request.sampling.fps or 0.0)
