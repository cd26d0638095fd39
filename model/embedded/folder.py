"""Write the pipeline folder in the form that stock diffusers loads, with the generation defaults
beside it.
"""

import copy
import json
import shutil
from pathlib import Path
from typing import Any, Final

import torch
from transformers import CLIPTokenizer

from .libraries import Autoencoder, StableDiffusionPipeline
from .networks import make_scheduler
from .palette import PICTURE_SIDE
from .train_denoiser import Drawer

TOKENIZER_FOLDER: Final = "tokenizer"
GENERATION_DEFAULTS: Final = {
    "num_inference_steps": 8,
    "guidance_scale": 2.0,
    "height": PICTURE_SIDE,
    "width": PICTURE_SIDE,
    "negative_prompt": "",
}


def write_pipeline(
    drawer: Drawer, vae: Autoencoder, tokenizer: CLIPTokenizer, words: Path, folder: Path
) -> None:
    """Write fp16 weights and configurations. ``words`` holds the tokenizer's vocab.json and
    merges.txt.
    """
    pipeline = StableDiffusionPipeline(
        vae=_halved(vae),
        text_encoder=_halved(drawer.text_encoder),
        tokenizer=tokenizer,
        unet=_halved(drawer.denoiser),
        scheduler=make_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder)
    _load_text_encoder_in_full_precision(folder)
    _forget_where_it_was_trained(folder)
    _keep_compact_tokenizer(words, folder / TOKENIZER_FOLDER)
    text = json.dumps(GENERATION_DEFAULTS, indent=2)
    (folder / "generation_config.json").write_text(text + "\n")


def _halved(module: Any) -> Any:
    return copy.deepcopy(module).to(torch.float16)


def _load_text_encoder_in_full_precision(folder: Path) -> None:
    """Weights stay fp16 on disk. With that type in the configuration, transformers 5 would load an
    fp16 text encoder beside an fp32 denoiser, and the first picture would fail."""
    path = folder / "text_encoder" / "config.json"
    configuration = json.loads(path.read_text())
    path.write_text(json.dumps({**configuration, "dtype": "float32"}, indent=2) + "\n")


def _forget_where_it_was_trained(folder: Path) -> None:
    """diffusers notes the path that a part was loaded from, which says nothing to anyone else."""
    path = folder / "vae" / "config.json"
    configuration = json.loads(path.read_text())
    configuration.pop("_name_or_path", None)
    path.write_text(json.dumps(configuration, indent=2) + "\n")


def _keep_compact_tokenizer(words: Path, folder: Path) -> None:
    """CLIP's two files say all that the bulky tokenizer.json does."""
    (folder / "tokenizer.json").unlink(missing_ok=True)
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(words / name, folder / name)


def folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
