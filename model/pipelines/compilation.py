"""``--compile``: have torch compile the parts of a pipeline that the time is spent in, and count
what it compiles. Imports torch: engine process only.

While the server warms up, whatever is new is compiled. Once it is Ready nothing is: code that fits
the arguments is used, and anything else runs eagerly (W40). torch does not tell which of the two it
was, so the graphs that run are counted: a call during which none did was eager.
"""

import errno
import inspect
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any, Final

import torch

from ..contract.compilation import Compilations, CompileMode
from ..errors import ModelNotLoadable
from .skeleton import is_skeleton

# A pipeline's parts that run once for each step; Wan's second one takes over halfway.
DENOISERS: Final = ("unet", "transformer", "transformer_2")
# torch counts all that is compiled of one pipeline as versions of one function, and after this many
# it would silently run the rest eagerly. Its own limit, 8, is meant for one module.
MOST_VERSIONS: Final = 256
# What the system says when a file does not fit.
NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# torch's default.
BACKEND: Final = "inductor"
# Where the graphs and the eager calls are counted, among torch's own counters.
OWN: Final = "kiln"
# The name under which inductor notes each measuring of a kernel's variants.
MEASURING: Final = "CachingAutotuner.benchmark_all_configs"


def compile_parts(pipelines: Iterable[Any], mode: CompileMode) -> tuple[str, ...]:
    """Mark what is to be compiled when it first runs; the names of the parts. Pipelines that share
    a component share its code.

    Raises:
        ModelNotLoadable: the model has nothing that ``mode`` could compile.
    """
    if mode is CompileMode.OFF:
        return ()
    torch._dynamo.config.recompile_limit = MOST_VERSIONS
    torch._dynamo.config.accumulated_recompile_limit = MOST_VERSIONS
    parts: dict[int, tuple[str, Any]] = {}
    for pipeline in pipelines:
        for name in DENOISERS:
            part = getattr(pipeline, name, None)
            if part is not None:
                parts[id(part)] = (name, part)
        if mode is CompileMode.FULL and (decoder := _decoder(pipeline)) is not None:
            parts[id(decoder)] = ("vae.decoder", decoder)
    if not parts:
        raise ModelNotLoadable("--compile: this pipeline has no denoiser to compile; use off")
    for name, part in parts.values():
        if mode is CompileMode.FULL:
            part.compile(backend=_compiled)
        else:
            _compile_blocks(name, part)
        for module in part.modules():
            if module._compiled_call_impl is not None:
                module._compiled_call_impl = _noticing(module._compiled_call_impl)
    return tuple(name for name, _ in parts.values())


def settle(settled: bool) -> None:
    """W40: from now on compile nothing, and run eagerly what no code fits; or (``False``) compile
    again what is new.
    """
    torch.compiler.set_stance("eager_on_recompile" if settled else "default")


def has_no_room(error: Exception) -> bool:
    """Whether compiling failed because its files could not be written: a full disk, mostly."""
    return isinstance(error, torch._dynamo.exc.TorchDynamoException) and any(
        os.strerror(code) in str(error) for code in NO_ROOM
    )


def give_up() -> None:
    """Run everything eagerly from now on."""
    torch.compiler.set_stance("force_eager")


def compilations() -> Compilations:
    """What torch has compiled in this process. Asks only where a compiler was imported."""
    utils = sys.modules.get("torch._dynamo.utils")
    frames = sys.modules.get("torch._dynamo.convert_frame")
    if utils is None or frames is None:
        return Compilations()
    versions = frames.FRAME_COMPILE_COUNTER.values()
    chosen = utils.counters["inductor"]["select_algorithm_autotune"]
    measured = len(utils.compilation_time_metrics.get(MEASURING, ()))
    return Compilations(
        compiles=len(versions),
        recompiles=sum(versions) - len(versions),
        autotunes=chosen + measured,
        eager_calls=utils.counters[OWN]["eager_calls"],
    )


def _compiled(graph: Any, inputs: Any) -> Callable[..., Any]:
    """A backend: what ``BACKEND`` makes of the graph, counted whenever it runs."""
    code = torch._dynamo.lookup_backend(BACKEND)(graph, inputs)

    def run(*arguments: Any) -> Any:
        _counters()["graphs"] += 1
        return code(*arguments)

    return run


def _noticing(call: Callable[..., Any]) -> Callable[..., Any]:
    """``call`` of a compiled module, counted where it ran eagerly."""

    def noticed(*arguments: Any, **named: Any) -> Any:
        counters = _counters()
        before = counters["graphs"]
        result = call(*arguments, **named)
        counters["eager_calls"] += counters["graphs"] == before
        return result

    return noticed


def _counters() -> Any:
    return torch._dynamo.utils.counters[OWN]


def _compile_blocks(name: str, denoiser: Any) -> None:
    kind = type(denoiser).__name__
    # Some classes (SD3) name their blocks only for the split between devices.
    blocks = getattr(denoiser, "_repeated_blocks", None) or denoiser._no_split_modules
    if not blocks:
        raise ModelNotLoadable(
            f"--compile regional: {kind} ({name}) does not name its repeated blocks; use "
            "--compile full"
        )
    denoiser._repeated_blocks = blocks
    try:
        denoiser.compile_repeated_blocks(backend=_compiled)
    except ValueError as error:
        raise ModelNotLoadable(
            f"--compile regional: {kind} ({name}) has none of the blocks that its class names "
            f"({', '.join(blocks)}); use --compile full"
        ) from error


def _decoder(pipeline: Any) -> Any:
    """The VAE's decoder. Not that of a video VAE which hands a list of past frames from call to
    call: each call would be another version."""
    vae = getattr(pipeline, "vae", None)
    decoder = None if is_skeleton(vae) else getattr(vae, "decoder", None)
    if decoder is None or "feat_cache" in inspect.signature(decoder.forward).parameters:
        return None
    return decoder
