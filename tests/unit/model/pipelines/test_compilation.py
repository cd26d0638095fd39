"""W40, W41: what is compiled, when, and how it is counted. The compiler is torch's own; its backend
here is the one that generates no code.
"""

import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from model.contract.compilation import Compilations, CompileMode
from model.errors import ModelNotLoadable
from model.pipelines import compilation
from model.pipelines.compilation import compilations, compile_parts, settle


class Block(torch.nn.Module):
    """Counts how often it runs as Python: compiled code does not."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, values: Any) -> Any:
        return self.linear(values).relu()


class Denoiser(torch.nn.Module):
    """Two blocks, with what diffusers' ``ModelMixin`` knows of them."""

    def __init__(self) -> None:
        super().__init__()
        self._repeated_blocks = ["Block"]
        self._no_split_modules: Any = None
        self.blocks = torch.nn.ModuleList([Block(), Block()])

    def compile_repeated_blocks(self, **options: Any) -> None:
        from diffusers import ModelMixin

        ModelMixin.compile_repeated_blocks(self, **options)  # type: ignore[arg-type]

    def forward(self, values: Any) -> Any:
        for block in self.blocks:
            values = block(values)
        return values


class CarryingDecoder(torch.nn.Module):
    def forward(self, values: Any, feat_cache: Any = None) -> Any: ...


def pipeline(denoiser: Any = None, decoder: Any = None) -> Any:
    vae = SimpleNamespace(decoder=decoder or Block())
    return SimpleNamespace(unet=denoiser or Denoiser(), vae=vae)


@pytest.fixture
def _no_code(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """torch.compile traces and guards, and generates nothing."""
    monkeypatch.setattr(compilation, "BACKEND", "eager")
    torch._dynamo.reset()
    yield
    settle(False)
    torch._dynamo.reset()


def compiled(module: Any) -> bool:
    return module._compiled_call_impl is not None


def test_off_compiles_nothing() -> None:
    parts = pipeline()
    assert compile_parts([parts], CompileMode.OFF) == ()
    assert not any(compiled(each) for each in parts.unet.modules())


def test_regional_compiles_the_blocks_and_full_the_whole_and_the_decoder() -> None:
    regional, full = pipeline(), pipeline()
    assert compile_parts([regional], CompileMode.REGIONAL) == ("unet",)
    assert all(compiled(each) for each in regional.unet.blocks)
    assert not compiled(regional.unet)
    assert not compiled(regional.vae.decoder)
    assert compile_parts([full], CompileMode.FULL) == ("unet", "vae.decoder")
    assert compiled(full.unet)
    assert compiled(full.vae.decoder)
    assert not any(compiled(each) for each in full.unet.blocks)


def test_what_pipelines_share_is_compiled_once() -> None:
    one = pipeline()
    sibling = SimpleNamespace(unet=one.unet, vae=one.vae, transformer_2=Denoiser())
    parts = compile_parts([one, sibling], CompileMode.FULL)
    assert sorted(parts) == ["transformer_2", "unet", "vae.decoder"]


def test_blocks_that_are_named_for_devices_only_are_compiled_too() -> None:
    """SD3 names its blocks so."""
    denoiser = Denoiser()
    denoiser._repeated_blocks, denoiser._no_split_modules = [], ["Block"]
    compile_parts([pipeline(denoiser)], CompileMode.REGIONAL)
    assert all(compiled(each) for each in denoiser.blocks)


@pytest.mark.parametrize(
    ("blocks", "reason"),
    [([], "does not name its repeated blocks"), (["Other"], r"has none of the blocks .*\(Other\)")],
)
def test_a_denoiser_without_blocks_is_refused_with_the_way_out(
    blocks: list[str], reason: str
) -> None:
    denoiser = Denoiser()
    denoiser._repeated_blocks = blocks
    with pytest.raises(ModelNotLoadable, match=rf"Denoiser \(unet\) {reason}; use --compile full"):
        compile_parts([pipeline(denoiser)], CompileMode.REGIONAL)


def test_a_pipeline_without_a_denoiser_is_refused() -> None:
    with pytest.raises(ModelNotLoadable, match="no denoiser to compile"):
        compile_parts([SimpleNamespace()], CompileMode.FULL)


def test_a_decoder_that_carries_frames_from_call_to_call_is_not_compiled() -> None:
    parts = pipeline(decoder=CarryingDecoder())
    assert compile_parts([parts], CompileMode.FULL) == ("unet",)


@pytest.mark.usefixtures("_no_code")
def test_w40_w41_once_settled_nothing_compiles_and_what_is_new_still_runs() -> None:
    parts = pipeline()
    compile_parts([parts], CompileMode.REGIONAL)

    def new(*shape: int) -> Compilations:
        before = compilations()
        with torch.inference_mode():
            values = expected = torch.randn(shape)
            for block in parts.unet.blocks:
                expected = block.forward(expected)
            assert torch.equal(parts.unet(values), expected)
        return compilations().since(before)

    assert new(2, 4) == Compilations(compiles=1), "both blocks share their code"
    assert new(2, 4) == Compilations()
    settle(True)
    assert new(2, 4) == Compilations()
    assert new(3, 5, 4) == Compilations(eager_calls=2), "of both blocks"
    settle(False)
    assert new(3, 5, 4) == Compilations(recompiles=1)
    assert new(3, 5, 4) == Compilations()


@pytest.mark.usefixtures("_no_code")
@pytest.mark.parametrize("mode", [CompileMode.REGIONAL, CompileMode.FULL])
def test_w40_a_guard_that_fails_inside_a_warm_shape_is_noticed(mode: CompileMode) -> None:
    """The same shape, in another mode of torch: no code was compiled for it."""
    parts = pipeline()
    compile_parts([parts], mode)
    values = torch.randn(2, 4)
    with torch.inference_mode():
        warm = parts.unet(values)
    settle(True)
    before = compilations()
    with torch.no_grad():
        cold = parts.unet(values)
    eager = 2 if mode is CompileMode.REGIONAL else 1
    assert compilations().since(before) == Compilations(eager_calls=eager)
    assert torch.equal(warm, cold)


@pytest.mark.usefixtures("_no_code")
def test_w40_a_call_that_fails_is_no_eager_one() -> None:
    parts = pipeline()
    compile_parts([parts], CompileMode.FULL)
    before = compilations()
    with pytest.raises(RuntimeError):
        parts.unet(torch.randn(2, 5))
    assert compilations().since(before).eager_calls == 0


def test_w41_counting_imports_no_compiler() -> None:
    """It takes a second, of every start."""
    probe = "import sys, model.pipelines.compilation; print('torch._dynamo.utils' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_w41_autotunes_are_those_of_inductor_and_of_triton(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.compiler.set_stance("default")  # imports the compiler
    utils = sys.modules["torch._dynamo.utils"]
    before = compilations()
    monkeypatch.setitem(utils.compilation_time_metrics, compilation.MEASURING, [0.1, 0.2])
    counters = utils.counters["inductor"]
    monkeypatch.setitem(
        counters, "select_algorithm_autotune", counters["select_algorithm_autotune"] + 1
    )
    assert compilations().since(before) == Compilations(autotunes=3)


def test_w41_without_a_compiler_nothing_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch._dynamo.convert_frame", raising=False)
    assert compilations() == Compilations()
