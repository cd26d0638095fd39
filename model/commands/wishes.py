"""What someone types who wants a picture, for every command that draws one."""

import argparse
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..errors import InvalidSettings

SIZE: Final = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
# By the end of a file's name.
FORMATS: Final = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".webp": "webp",
    ".avif": "avif",
    ".mp4": "mp4",
}
LONGEST_NAME: Final = 80


@dataclass(frozen=True, slots=True)
class Wish:
    """``parameters``: by the names that the protocols have. ``output``: None where none is named.
    ``output_format``: as its name ends; None where that is up to the model.
    """

    prompt: str
    negative_prompt: str | None = None
    image: bytes | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    output: Path | None = None
    output_format: str | None = None


def add_wish(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("prompt", metavar="PROMPT", help="what to draw")
    wish = parser.add_argument_group("What to draw")
    wish.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="the file to write: .png, .jpg, .webp, .avif, or .mp4 of a model of videos. Several "
        "pictures are numbered: FILE-1, FILE-2.",
    )
    wish.add_argument("--seed", type=int, metavar="N", help="the same again: random without it")
    wish.add_argument("--size", metavar="WxH", help="pixels, such as 1024x768")
    wish.add_argument("--steps", type=int, metavar="N", help="denoising steps")
    wish.add_argument("-n", "--number", type=int, metavar="N", help="how many pictures")
    wish.add_argument("--negative-prompt", metavar="TEXT", help="what not to draw")
    wish.add_argument("--image", type=Path, metavar="FILE", help="a PNG, JPEG or WebP to draw from")
    wish.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other parameter, as diffusers spells it: guidance_scale=5, strength=0.6. Again "
        "and again.",
    )


def wish_of(given: argparse.Namespace) -> Wish:
    """What was typed.

    Raises:
        InvalidSettings: the first thing that is wrong, by its flag.
    """
    if not given.prompt.strip():
        raise InvalidSettings("PROMPT: is empty; say what to draw")
    named = {
        "seed": given.seed,
        "num_inference_steps": given.steps,
        "num_images_per_prompt": given.number,
        **_size(given.size),
    }
    parameters: dict[str, Any] = {name: each for name, each in named.items() if each is not None}
    for name, value in map(_pair, given.set):
        if name in parameters or name == "output_format":
            raise InvalidSettings(f"--set {name}: has a flag of its own, or is given twice")
        parameters[name] = value
    return Wish(
        given.prompt,
        given.negative_prompt,
        None if given.image is None else _read(given.image),
        parameters,
        given.output,
        None if given.output is None else _format(given.output),
    )


def repeated(given: argparse.Namespace) -> list[str]:
    """What was typed, but for what names a picture of several, or a file."""
    flags = {
        "--size": given.size,
        "--steps": given.steps,
        "--negative-prompt": given.negative_prompt,
        "--image": given.image,
    }
    found = [part for name, each in flags.items() if each is not None for part in (name, str(each))]
    return found + [part for each in given.set for part in ("--set", each)]


def file_name(prompt: str, output_format: str) -> Path:
    """In the current folder, after the prompt; one that nobody has."""
    words = re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")[:LONGEST_NAME].rstrip("-")
    name, ending = words or "picture", "jpg" if output_format == "jpeg" else output_format
    path, number = Path(f"{name}.{ending}"), 1
    while path.exists():
        number += 1
        path = Path(f"{name}-{number}.{ending}")
    return path


def _size(text: str | None) -> dict[str, int]:
    if text is None:
        return {}
    match = SIZE.fullmatch(text)
    if match is None:
        raise InvalidSettings(f"--size: {text[:100]!r} is no size; write WIDTHxHEIGHT")
    return {"width": int(match[1]), "height": int(match[2])}


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InvalidSettings(f"--set: {text[:100]!r} is no NAME=VALUE")
    return name, value


def _format(path: Path) -> str:
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        raise InvalidSettings(f"--output: {str(path)!r} must end in {', '.join(FORMATS)}")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise InvalidSettings(f"--output: {str(path)!r} must be a file in a folder that exists")
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidSettings(f"--image: {str(path)!r} cannot be read: {error.strerror}") from error
