"""Train the whole model from a prepared folder: tokenizer, autoencoder, then denoiser and text
encoder.
"""

import argparse
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from transformers import CLIPTextModel, CLIPTokenizer

from .folder import folder_bytes, write_pipeline
from .libraries import Autoencoder, AutoencoderKL, UNet2DConditionModel
from .networks import VOCABULARY_SIZE
from .plan import Mix, random_plan
from .render import Renderer
from .tokenizer import write_tokenizer
from .train_denoiser import DenoiserSettings, Drawer, train_denoiser
from .train_vae import VaeSettings, train_vae
from .training import allow_fast_kernels, log

Settings = VaeSettings | DenoiserSettings

CAPTIONS_FOR_TOKENIZER: Final = 40000
TOKENIZER_SEED: Final = 1


@dataclass(frozen=True, slots=True)
class Run:
    """One training run: where it reads and writes, and how long each stage lasts."""

    data: Path
    output: Path
    device: str
    seed: int
    vae_settings: VaeSettings
    denoiser_settings: DenoiserSettings
    vae: Path | None
    resume: Path | None


def train(run: Run) -> Path:
    """Run the stages and return the pipeline folder."""
    torch.manual_seed(run.seed)
    generator = np.random.default_rng(run.seed)
    allow_fast_kernels()
    renderer = Renderer.from_folder(run.data, run.device)
    log("data", objects=len(renderer.objects))
    tokenizer = learn_tokenizer(renderer, run.output / "words")
    log(
        "tokenizer",
        words=len(tokenizer),
        example=tokenizer("a small red fox on a blue background").input_ids,
    )
    vae = _vae(run, renderer, generator)
    folder = run.output / "pipeline"

    def save(drawer: Drawer) -> None:
        write_pipeline(drawer, vae, tokenizer, run.output / "words", folder)

    trained = train_denoiser(
        _start(run, tokenizer), renderer, vae, tokenizer, generator, run.denoiser_settings, save
    )
    save(trained)
    log("saved", folder=folder, megabytes=folder_bytes(folder) / 1e6)
    return folder


def learn_tokenizer(renderer: Renderer, folder: Path) -> CLIPTokenizer:
    mix = Mix(silent=0.0)
    plan = random_plan(
        renderer.objects, CAPTIONS_FOR_TOKENIZER, np.random.default_rng(TOKENIZER_SEED), mix
    )
    return write_tokenizer(plan.captions, VOCABULARY_SIZE, folder)


def _vae(run: Run, renderer: Renderer, generator: np.random.Generator) -> Autoencoder:
    if run.vae:
        vae = AutoencoderKL.from_pretrained(run.vae).to(run.device)
    else:
        vae = train_vae(renderer, generator, run.vae_settings)
        vae.save_pretrained(run.output / "vae")
    return vae.requires_grad_(False).eval()


def _start(run: Run, tokenizer: CLIPTokenizer) -> Drawer:
    if not run.resume:
        return Drawer.untrained(tokenizer)
    denoiser = UNet2DConditionModel.from_pretrained(run.resume, subfolder="unet")
    return Drawer(denoiser, CLIPTextModel.from_pretrained(run.resume, subfolder="text_encoder"))


SETTINGS_HELP: Final = {
    "batch": "pictures a step",
    "steps": "most steps",
    "minutes": "most minutes",
    "rate": "peak learning rate",
    "average": "decay of the averaged weights",
    "pool": "pictures drawn and encoded at once",
    "uses": "times that each pool is used",
    "save_every": "steps between saved pipelines",
}


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder written by model.embedded.prepare")
    add("--output", type=Path, required=True, help="folder for the weights")
    add("--device", default=device, help="cuda or cpu")
    add("--seed", type=int, default=0, help="seed of everything random")
    add("--compile", action="store_true", help="compile the networks (pays on a GPU)")
    add("--log-every", type=int, default=100, help="steps between log lines")
    add("--vae", type=Path, help="folder of a trained autoencoder; skips its training")
    add("--resume", type=Path, help="pipeline folder whose networks to train on")
    _add_settings(parser, VaeSettings(), prefix="vae-", of="autoencoder")
    _add_settings(parser, DenoiserSettings(), prefix="", of="denoiser")
    return parser


def _add_settings(
    parser: argparse.ArgumentParser, settings: Settings, *, prefix: str, of: str
) -> None:
    for name, value in asdict(settings).items():
        if name in SETTINGS_HELP:
            flag = f"--{prefix}{name.replace('_', '-')}"
            what = f"{SETTINGS_HELP[name]} of the {of}"
            parser.add_argument(flag, type=type(value), default=value, help=what)


def run_from(given: argparse.Namespace) -> Run:
    """Sort the parsed arguments into the stages that they set."""
    values = vars(given)

    def chosen(settings: Settings, prefix: str) -> dict[str, Any]:
        names = {each.name: prefix + each.name for each in fields(settings)}
        return {
            name: values.get(flag, values.get(name, getattr(settings, name)))
            for name, flag in names.items()
        }

    return Run(
        data=given.data,
        output=given.output,
        device=given.device,
        seed=given.seed,
        vae_settings=VaeSettings(**chosen(VaeSettings(), "vae_")),
        denoiser_settings=DenoiserSettings(**chosen(DenoiserSettings(), "")),
        vae=given.vae,
        resume=given.resume,
    )


def main() -> None:
    folder = train(run_from(make_parser().parse_args()))
    print(f"Next: python -m model.embedded.score --model {folder}")


if __name__ == "__main__":
    main()
