"""What images are built of: this checkout, and what tells one build of it from another."""

import subprocess
import sys
import tempfile
from pathlib import Path

import model

from .builders import Build, Builder, command, pip_settings, run

ROOT = Path(__file__).parents[2]
TARGETS = ("controller", "model", "model-cpu")


def build(builder: Builder, target: str, tag: str, base: str | None, root: Path = ROOT) -> None:
    """One of ``TARGETS``, of the checkout at ``root``.

    Raises:
        ImageError: the build failed; it has said why.
    """
    print(f"images: {builder.name} builds {tag}", file=sys.stderr, flush=True)
    what = Build(target, tag, base, tuple(labels(root).items()))
    with tempfile.NamedTemporaryFile("w", prefix="kiln-pip-", encoding="utf-8") as file:
        # Only its owner can read it, and no layer keeps it: an index may have a password.
        settings = pip_settings(builder)
        file.write(settings)
        file.flush()
        run(command(builder, what, root, Path(file.name) if settings else None))


def labels(root: Path) -> dict[str, str]:
    """What tells one build of an image from another."""
    named = {"version": model.__version__, "revision": _git(root, "rev-parse", "HEAD")}
    return {f"org.opencontainers.image.{name}": value for name, value in named.items() if value}


def _git(root: Path, *arguments: str) -> str:
    """Empty where this is no checkout: a release's archive builds, too."""
    done = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()
