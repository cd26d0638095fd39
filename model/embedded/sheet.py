"""Draw prompts and tile them into one labelled picture, to look at with one's own eyes."""

import argparse
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw

from . import PIPELINE_FOLDER
from .drawing import draw, generation_defaults, open_pipeline
from .judge import judge
from .palette import PICTURE_SIDE
from .questions import Question, make_questions

GAP: Final = 4
LABEL_HEIGHT: Final = 27
LABEL_WIDTH: Final = 22
LABEL_LINES: Final = 2

DEMONSTRATION: Final = (
    "a fox",
    "a pizza slice on a blue background",
    "a happy face",
    "a green car",
    "a rocket on a black background",
    "a small yellow bird",
    "a purple dragon",
    "a blue heart on a yellow background",
    "a penguin on a green background",
    "a cactus",
    "a butterfly on a gray background",
    "a strawberry on a purple background",
    "a robot on an orange background",
    "a rainbow on a black background",
    "a green apple",
    "a guitar on a brown background",
    "a house on a gray background",
    "a big sun on a blue background",
    "an angry face on a pink background",
    "a birthday cake on a pink background",
    "a mushroom",
    "a hamburger on a red background",
    "an owl on a yellow background",
    "a small key on a green background",
    "a fox, flat style",
    "a rocket, flat style on a black background",
    "a small purple balloon on a cyan background",
    "a bicycle",
    "a panda, flat style",
    "a tiger face",
    "a train, flat style on a yellow background",
    "a castle",
    "a robot, flat style on a blue background",
    "a ladybug",
    "a microscope",
    "a blue bus, flat style on a pink background",
    "a sad face on a cyan background",
    "a dog face on a green background",
    "a pink octopus, flat style",
    "a small ghost on a purple background",
)


def tiled(pictures: Sequence[Image.Image], labels: Sequence[str], columns: int) -> Image.Image:
    """Pictures in rows with a label below each; without labels, close together."""
    height = PICTURE_SIDE + GAP + (LABEL_HEIGHT if any(labels) else 0)
    width = PICTURE_SIDE + GAP
    sheet = Image.new("RGB", (columns * width, -(-len(pictures) // columns) * height), "white")
    pen = ImageDraw.Draw(sheet)
    for place, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        left, top = place % columns * width, place // columns * height
        sheet.paste(picture, (left + GAP // 2, top + GAP // 2))
        pen.text((left + GAP // 2, top + PICTURE_SIDE + GAP // 2), _label(label), fill="black")
    return sheet


def _label(text: str) -> str:
    return "\n".join(textwrap.wrap(text, LABEL_WIDTH)[:LABEL_LINES])


def failures(
    pictures: list[Image.Image], questions: Sequence[Question]
) -> list[tuple[Image.Image, str]]:
    """The pictures that show something else than was asked, with their prompts."""
    found = []
    for picture, question in zip(pictures, questions, strict=True):
        verdict = judge(picture, question)
        wrong_hue, wrong_size = (
            question.hue and not verdict.hue,
            question.small and not verdict.small,
        )
        if not (verdict.name and verdict.style and verdict.background) or wrong_hue or wrong_size:
            found.append((picture, question.prompt))
    return found


def main() -> None:
    defaults = generation_defaults(PIPELINE_FOLDER)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("prompts", nargs="*", default=DEMONSTRATION, help="prompts to draw")
    parser.add_argument("--model", type=Path, default=PIPELINE_FOLDER, help="pipeline folder")
    parser.add_argument("--png", type=Path, default=Path("sheet.png"), help="picture to write")
    parser.add_argument("--columns", type=int, default=8, help="pictures in a row")
    parser.add_argument(
        "--steps", type=int, default=defaults["num_inference_steps"], help="denoising steps"
    )
    parser.add_argument(
        "--guidance", type=float, default=defaults["guidance_scale"], help="guidance scale"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the first picture")
    parser.add_argument(
        "--failures", action="store_true", help="draw the scored prompts and show what went wrong"
    )
    given = parser.parse_args()
    questions = make_questions().all() if given.failures else ()
    prompts = [each.prompt for each in questions] or list(given.prompts)
    settings = {"num_inference_steps": given.steps, "guidance_scale": given.guidance}
    pictures = draw(open_pipeline(given.model), prompts, seed=given.seed, **settings)
    shown = (
        failures(pictures, questions)
        if given.failures
        else list(zip(pictures, prompts, strict=True))
    )
    tiled([picture for picture, _ in shown], [label for _, label in shown], given.columns).save(
        given.png, optimize=True
    )
    print(f"Wrote {given.png} with {len(shown)} pictures")


if __name__ == "__main__":
    main()
