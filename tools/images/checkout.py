"""What images are built of: this checkout, and what tells one build of it from another."""

import contextlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import model

from .builders import Build, Builder, command, pip_settings, run
from .errors import ImageError

ROOT = Path(__file__).parents[2]
TARGETS = ("controller", "model", "model-cpu")


def build(builder: Builder, target: str, tag: str, base: str | None, root: Path = ROOT) -> None:
    """One of ``TARGETS``, of the checkout at ``root``.

    Raises:
        ImageError: the build failed; it has said why.
    """
    print(f"images: {builder.name} builds {tag}", file=sys.stderr, flush=True)
    what = Build(target, tag, base, tuple(labels(root).items()))
    stages = up_to(target, (root / "Dockerfile").read_text(encoding="utf-8"))
    # Only its owner can read it, and no layer keeps it: an index may have a password.
    settings = pip_settings(builder)
    with _file("Dockerfile", stages) as file, _file("pip", settings) as pip:
        run(command(builder, what, root, file, pip if settings else None))


def up_to(target: str, dockerfile: str) -> str:
    """Its stages until ``target``. buildah takes a kept image with the labels of an earlier build,
    unless the target is the last stage.
    """
    last = re.search(rf"^FROM \S+ AS {re.escape(target)}$", dockerfile, re.MULTILINE)
    if last is None:
        raise ImageError(f"the Dockerfile has no stage {target}")
    following = dockerfile.find("\nFROM ", last.end())
    return dockerfile if following < 0 else dockerfile[: following + 1]


def labels(root: Path) -> dict[str, str]:
    """What tells one build of an image from another."""
    named = {"version": model.__version__, "revision": _git(root, "rev-parse", "HEAD")}
    return {f"org.opencontainers.image.{name}": value for name, value in named.items() if value}


@contextlib.contextmanager
def _file(name: str, text: str) -> Iterator[Path]:
    with tempfile.NamedTemporaryFile("w", prefix=f"kiln-{name}-", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        yield Path(file.name)


def _git(root: Path, *arguments: str) -> str:
    """Empty where this is no checkout: a release's archive builds, too."""
    done = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()
