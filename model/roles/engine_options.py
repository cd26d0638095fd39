"""What an engine needs to know of the settings."""

from ..engine.messages import EngineOptions
from ..settings import Settings


def engine_options(settings: Settings, number: int) -> EngineOptions:
    """For engine ``number``, counted from 0."""
    return EngineOptions(
        model=settings.model,
        device=settings.device,
        dtype=settings.dtype,
        threads=settings.torch_threads,
        log_level=settings.log_level,
        log_format=settings.log_format,
        compile=settings.compile,
        cache_dir=settings.cache_dir,
        prompt_cache_bytes=settings.prompt_cache_bytes,
        engine=number,
        engines=settings.engines,
        ranks=settings.ranks,
        loras=settings.loras,
    )
