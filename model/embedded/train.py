"""Train the whole model from a prepared folder: tokenizer, autoencoder, then denoiser and text encoder."""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from .folder import folder_bytes, write_pipeline
from .networks import VOCABULARY_SIZE
from .plan import Mix, random_plan
from .render import Renderer
from .tokenizer import write_tokenizer
from .train_denoiser import DenoiserSettings, Drawer, train_denoiser
from .train_vae import VaeSettings, train_vae
from .training import allow_fast_kernels, log

CAPTIONS_FOR_TOKENIZER = 40000
TOKENIZER_SEED = 1


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
    log("tokenizer", words=len(tokenizer), example=tokenizer("a small red fox on a blue background").input_ids)
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
    plan = random_plan(renderer.objects, CAPTIONS_FOR_TOKENIZER, np.random.default_rng(TOKENIZER_SEED), mix)
    return write_tokenizer(plan.captions, VOCABULARY_SIZE, folder)


def _vae(run: Run, renderer: Renderer, generator: np.random.Generator) -> AutoencoderKL:
    if run.vae:
        vae = AutoencoderKL.from_pretrained(run.vae).to(run.device)
    else:
        vae = train_vae(renderer, generator, run.vae_settings)
        vae.save_pretrained(run.output / "vae")
    return vae.requires_grad_(False).eval()


def _start(run: Run, tokenizer: CLIPTokenizer) -> Drawer:
    if not run.resume:
        return Drawer.untrained(tokenizer)
    denoiser = UNet2DConditionModel.from_pretrained(run.resume, subfolder="unet", torch_dtype=torch.float32)
    return Drawer(denoiser, CLIPTextModel.from_pretrained(run.resume, subfolder="text_encoder").float())


def parse(arguments: list[str] | None = None) -> Run:
    vae, denoiser = VaeSettings(), DenoiserSettings()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder written by python -m model.embedded.prepare")
    add("--output", type=Path, required=True, help="folder for the weights")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cuda or cpu")
    add("--seed", type=int, default=0, help="seed of everything random")
    add("--compile", action="store_true", help="compile the networks (pays on a GPU)")
    add("--log-every", type=int, default=100, help="steps between log lines")
    add("--vae", type=Path, help="folder of a trained autoencoder; skips its training")
    add("--resume", type=Path, help="pipeline folder whose denoiser and text encoder to train on")
    add("--vae-batch", type=int, default=vae.batch, help="pictures a step of the autoencoder")
    add("--vae-steps", type=int, default=vae.steps, help="most steps of the autoencoder")
    add("--vae-minutes", type=float, default=vae.minutes, help="most minutes of the autoencoder")
    add("--vae-rate", type=float, default=vae.rate, help="peak learning rate of the autoencoder")
    add("--batch", type=int, default=denoiser.batch, help="latents a step of the denoiser")
    add("--steps", type=int, default=denoiser.steps, help="most steps of the denoiser")
    add("--minutes", type=float, default=denoiser.minutes, help="most minutes of the denoiser")
    add("--rate", type=float, default=denoiser.rate, help="peak learning rate of the denoiser")
    add("--average", type=float, default=denoiser.average, help="decay of the averaged weights")
    add("--pool", type=int, default=denoiser.pool, help="pictures drawn and encoded at once")
    add("--uses", type=int, default=denoiser.uses, help="times that each pool is used")
    add("--save-every", type=int, default=denoiser.save_every, help="steps between saved pipelines")
    given = parser.parse_args(arguments)
    shared = {"log_every": given.log_every, "compile": given.compile}
    return Run(
        data=given.data,
        output=given.output,
        device=given.device,
        seed=given.seed,
        vae_settings=VaeSettings(
            batch=given.vae_batch,
            steps=given.vae_steps,
            minutes=given.vae_minutes,
            rate=given.vae_rate,
            **shared,
        ),
        denoiser_settings=DenoiserSettings(
            batch=given.batch,
            steps=given.steps,
            minutes=given.minutes,
            rate=given.rate,
            average=given.average,
            pool=given.pool,
            uses=given.uses,
            save_every=given.save_every,
            **shared,
        ),
        vae=given.vae,
        resume=given.resume,
    )


def main() -> None:
    folder = train(parse())
    print(f"Next: python -m model.embedded.score --model {folder}")


if __name__ == "__main__":
    main()
