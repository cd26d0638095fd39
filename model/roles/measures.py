"""Count what a finished request tells."""

from dataclasses import asdict

from ..contract.generation import Generation
from ..telemetry.logs import get_logger
from ..telemetry.metrics import COMPILE_KINDS, Metrics

log = get_logger(__name__)


def measure(metrics: Metrics, generation: Generation, cold: bool) -> None:
    """What a user's finished request goes into the figures with (W28: a warmup's does not)."""
    timings = generation.timings
    for stage, seconds in (
        ("queue", timings.queue),
        ("prepare", timings.prepare),
        ("denoise", sum(timings.steps)),
        ("decode", timings.decode),
    ):
        metrics.stage_seconds.labels(stage).observe(seconds)
    for seconds in timings.steps:
        metrics.step_seconds.observe(seconds)
    metrics.images.inc(len(generation.seeds))
    if cold:
        metrics.cold.inc()
    if generation.eager_calls:
        metrics.eager.labels("cold" if cold else "warm").inc()
        if not cold:  # W40: the warmup has compiled for something else than users ask for
            log.warning("ran_eagerly", shape=str(generation.shape), calls=generation.eager_calls)
    metrics.prompt_cache_hits.inc(generation.prompt_cache.hits)
    metrics.prompt_cache_misses.inc(generation.prompt_cache.misses)
    metrics.device_memory.set(generation.peak_memory_bytes)


def count_compiles(metrics: Metrics, generation: Generation) -> None:
    """W41: a request that compiled after Ready paid for what warmup should have done."""
    if not generation.compiles:
        return
    counts = asdict(generation.compilations)
    for kind, label in COMPILE_KINDS.items():
        metrics.compiles.labels(label).inc(counts[kind])
    log.warning("compiled_after_ready", shape=str(generation.shape), **counts)
