"""W40, W41: a server that compiles (inductor, on the CPU) is warm when it says Ready, and never
compiles for a user. ``regional`` on the embedded model; ``full`` on a smaller one of the same
classes, since the embedded one takes minutes.
"""

import shutil
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.contract.adapter import Adapter
from model.contract.compilation import CompileMode
from model.contract.generation import GenerationRequest, Sampling
from model.contract.sampling import Task
from model.embedded import PIPELINE_FOLDER
from model.engine.caches import FOLDERS
from tests.integration.faults.drills import metric
from tests.integration.support.lora import save_lora
from tests.integration.support.requests import INFER, KNOBS, PROMPT, body, pictures, pixels
from tests.integration.support.server import MODEL, ServerProcess

# Compiled code rounds otherwise than the kernels of the uncompiled model: a step or two of 255 in
# a few of the pixels, after two denoising steps.
MOST_APART = 2
MEAN_APART = 0.01
SIDE, COLD_SIDE = 128, 64
SHAPES = ("warm", "cold")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights; one level with attention, and one without."""
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel

    torch.manual_seed(0)
    folder = Path(shutil.copytree(PIPELINE_FOLDER, tmp_path_factory.mktemp("compile") / "tiny"))
    UNet2DConditionModel(
        sample_size=32,
        block_out_channels=(16, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=2,
        norm_num_groups=4,
        cross_attention_dim=96,
    ).save_pretrained(folder / "unet")
    AutoencoderKL(
        sample_size=SIDE,
        block_out_channels=(8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        layers_per_block=1,
        norm_num_groups=2,
    ).save_pretrained(folder / "vae")
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all servers: the compiler's own headers take as long as a dozen kernels."""
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize(
    ("mode", "parts"), [("regional", ["unet"]), ("full", ["unet", "vae.decoder"])]
)
@pytest.mark.timeout(900)  # half a minute of an idle machine's compiler
def test_w40_w41_a_compiled_server_compiles_before_ready_and_never_after(
    start_server: Callable[..., ServerProcess],
    tiny: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    parts: list[str],
) -> None:
    for variable in FOLDERS:  # importing diffusers sets one
        monkeypatch.delenv(variable, raising=False)
    folder = PIPELINE_FOLDER if mode == "regional" else tiny
    before = set(cache.rglob("*.so"))
    server = start_server(
        *("--model", str(folder), "--model-name", MODEL),
        *("--compile", mode, "--cache-dir", str(cache)),
    ).wait_ready(600)
    assert server.events("compiling")[0]["parts"] == parts
    assert set(cache.rglob("*.so")) - before, "the compiled code is kept"

    (shape,) = server.metadata()["warmup"]["shapes"]
    assert shape["compiles"][0] > 0
    assert shape["compiles"][-1] == 0
    assert shape["real_compiles"][-1] == 0

    for side, cold in ((SIDE, False), (COLD_SIDE, True)):
        answer = server.client.post(INFER, json=body(width=side, height=side))
        (picture,) = pictures(answer)
        parameters = answer.json()["parameters"]
        assert parameters["cold_shape"] is cold
        assert ("eager_calls" in parameters) is cold, "W40: no code fits, and none is made"
        eager = [metric(server, "kiln_eager_requests_total", shape=each) for each in SHAPES]
        assert eager == [0, cold]
        apart = np.abs(pixels(picture).astype(int) - uncompiled(folder, side))
        assert apart.max() <= MOST_APART
        assert apart.mean() <= MEAN_APART

    assert metric(server, "kiln_compiles_after_ready_total") == 0
    assert server.events("compiled_after_ready") == []
    assert server.terminate() == 0


@pytest.fixture
def _no_code(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """torch traces and guards as ever, and generates no code, which would take most of a minute."""
    import torch

    from model.pipelines import compilation

    monkeypatch.setattr(compilation, "BACKEND", "eager")
    torch._dynamo.reset()
    yield
    torch.compiler.set_stance("default")
    torch._dynamo.reset()


def request(prompt: str, **sampling: Any) -> GenerationRequest:
    return GenerationRequest(
        id="a",
        task=Task.TEXT_TO_IMAGE,
        prompts=(prompt,),
        sampling=Sampling(width=32, height=32, num_inference_steps=2, **sampling),
        seeds=(7,),
        negative_prompts=(" ",),
        cfg=True,
    )


@pytest.mark.usefixtures("_no_code")
def test_w17_w40_a_prompt_of_another_length_uses_the_compiled_code(tmp_path: Path) -> None:
    """Qwen-Image takes prompts of any length. Two lengths, of which the negative prompt may be one,
    tell the compiler that the length varies."""
    import torch

    from model.pipelines.calls import run
    from model.pipelines.compilation import compilations, compile_parts
    from model.pipelines.loader import load
    from model.pipelines.location import locate
    from tests.integration.families.tiny import qwen_image

    qwen_image().save_pretrained(tmp_path)
    pipeline = load(locate(str(tmp_path)), "cpu", "auto").pipelines[Task.TEXT_TO_IMAGE]
    compile_parts([pipeline], CompileMode.REGIONAL)

    def compiled_for(prompt: str) -> int:
        before = compilations()
        run(pipeline, request(prompt, true_cfg_scale=4.0), lambda step, of: None)
        return compilations().since(before).total

    assert compiled_for("warmup") > 0
    assert compiled_for("A detailed image.") == 0
    # Stricter than a settled server, which would run what does not fit uncompiled: this raises.
    torch.compiler.set_stance("fail_on_recompile")
    assert compiled_for("x") == 0
    assert compiled_for("a small brown dog on the green grass beside a tree, barking") == 0


@pytest.mark.usefixtures("_no_code")
def test_w42_an_adapter_compiles_while_it_warms_up_and_never_after(
    tiny: Path, tmp_path: Path
) -> None:
    from model.pipelines.adapters import activate, load_adapters
    from model.pipelines.calls import run
    from model.pipelines.compilation import compilations, compile_parts, settle
    from model.pipelines.loader import load
    from model.pipelines.location import locate

    plain, compiled = (
        load(locate(str(tiny)), "cpu", "auto").pipelines[Task.TEXT_TO_IMAGE] for _ in range(2)
    )
    lora = save_lora(tmp_path, unet=tiny / "unet")
    for each in (plain, compiled):
        load_adapters(each, {"style": lora})
    compile_parts([compiled], CompileMode.REGIONAL)

    def drawn(pipeline: Any) -> tuple[Any, int]:
        before = compilations()
        pixels = run(pipeline, request("a fox", guidance_scale=2.0), lambda step, of: None).pixels
        return pixels, compilations().since(before).total

    for adapter, compiles in ((None, True), (Adapter("style"), True), (None, False)):
        activate(plain, adapter)
        activate(compiled, adapter)
        settle(False)
        assert (drawn(compiled)[1] > 0) is compiles, "code of weights seen before is still there"
        settle(True)
        pixels, new = drawn(compiled)
        assert new == 0
        assert np.abs(pixels.astype(int) - drawn(plain)[0]).max() <= MOST_APART


@lru_cache(maxsize=1)
def plain(folder: Path) -> Any:
    from diffusers import DiffusionPipeline

    pipeline = DiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def uncompiled(folder: Path, side: int) -> Any:
    """The same picture by diffusers alone."""
    import torch

    drawn = plain(folder)(
        prompt=PROMPT,
        negative_prompt="",
        width=side,
        height=side,
        num_inference_steps=KNOBS["num_inference_steps"],
        guidance_scale=2.0,
        generator=torch.Generator("cpu").manual_seed(KNOBS["seed"]),
    )
    return np.asarray(drawn.images[0]).astype(int)
