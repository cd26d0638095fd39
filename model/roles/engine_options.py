"""What an engine needs to know of the settings."""

from typing import Final

from ..contract.compilation import CompileMode
from ..contract.roles import Role
from ..engine.messages import EngineOptions
from ..settings import Settings

# Text encoders and VAEs run once a request: what compiling saves there is less than it costs.
COMPILING: Final = frozenset({Role.MONOLITHIC, Role.DENOISER})


def engine_options(settings: Settings, number: int) -> EngineOptions:
    """For engine ``number``, counted from 0."""
    return EngineOptions(
        model=settings.model,
        device=settings.device,
        dtype=settings.dtype,
        threads=settings.torch_threads,
        log_level=settings.log_level,
        log_format=settings.log_format,
        compile=settings.compile if settings.role in COMPILING else CompileMode.OFF,
        cache_dir=settings.cache_dir,
        prompt_cache_bytes=settings.prompt_cache_bytes,
        engine=number,
        engines=settings.engines,
        ranks=settings.ranks,
        loras=settings.loras,
        role=settings.role,
    )
