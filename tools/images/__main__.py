"""Build Kiln's images.

python -m tools.images                                   controller, model and model-cpu
python -m tools.images controller model-cpu              only these
python -m tools.images --base registry.example/python:3.12 --repository registry.example/kiln
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import model

from .base import debian
from .builders import BUILDERS, Build, command, find, run
from .errors import ImageError

ROOT = Path(__file__).parents[2]
TARGETS = ("controller", "model", "model-cpu")
NEXT = """\

Built:
{images}
Next, so that a cluster finds them:

    {builder} push {first}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        builder = find(options.builder)
        base = debian(builder) if options.debian else options.base
        builds = [
            Build(
                target,
                f"{options.repository}/{target}:{options.tag}",
                base,
                tuple(labels().items()),
            )
            for target in options.targets or TARGETS
        ]
        for build in builds:
            print(f"images: {builder.name} builds {build.tag}", file=sys.stderr, flush=True)
            run(command(builder, build, ROOT))
    except ImageError as error:
        print(f"images: {error}", file=sys.stderr)
        return 1
    tags = [build.tag for build in builds]
    print(
        NEXT.format(
            images="".join(f"    {tag}\n" for tag in tags), builder=builder.name, first=tags[0]
        )
    )
    return 0


def labels() -> dict[str, str]:
    """What tells one build of an image from another."""
    named = {"version": model.__version__, "revision": _git("rev-parse", "HEAD")}
    return {f"org.opencontainers.image.{name}": value for name, value in named.items() if value}


def _git(*arguments: str) -> str:
    """Empty where this is no checkout: a release's archive builds, too."""
    done = subprocess.run(
        ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.images",
        description="Build Kiln's images with docker, podman or buildah, whichever works here. "
        "PIP_INDEX_URL, PIP_EXTRA_INDEX_URL and PIP_CERT of the environment hold in the build too.",
    )
    # No choices: argparse would refuse the empty list that stands for all.
    parser.add_argument("targets", nargs="*", type=_target, metavar="TARGET",
                        help=f"of {', '.join(TARGETS)}; all by default")  # fmt: skip
    parser.add_argument("--builder", choices=[each.name for each in BUILDERS],
                        help="by default the first that works")  # fmt: skip
    base = parser.add_mutually_exclusive_group()
    base.add_argument("--base", help="image with Python 3.11 or newer; default: the Dockerfile's")
    base.add_argument("--debian", action="store_true",
                      help="make the base of Debian's packages first, where no registry of images "
                      "can be reached; needs root and debootstrap")  # fmt: skip
    parser.add_argument("--repository", default="kiln", help="before the image's name (kiln)")
    parser.add_argument("--tag", default=model.__version__, help=f"({model.__version__})")
    return parser


def _target(name: str) -> str:
    if name not in TARGETS:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(TARGETS)}")
    return name


if __name__ == "__main__":
    sys.exit(main())
