"""Build Kiln's images.

python -m tools.images                                   controller, model and model-cpu
python -m tools.images controller model-cpu              only these
python -m tools.images --base registry.example/python:3.12 --repository registry.example/kiln
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import model

from .base import debian
from .builders import BUILDERS, find
from .checkout import TARGETS, build
from .errors import ImageError

NEXT = """\

Built:
{images}
Next, so that a cluster finds them:

    {push}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        builder = find(options.builder)
        if options.storage:
            builder = builder.storing_in(options.storage.resolve())
        base = debian(builder) if options.debian else options.base
        tags = {name: f"{options.repository}/{name}:{options.tag}" for name in _targets(options)}
        for target, tag in tags.items():
            build(builder, target, tag, base)
    except ImageError as error:
        print(f"images: {error}", file=sys.stderr)
        return 1
    images = list(tags.values())
    push = shlex.join(builder.line("push", images[0]))
    print(NEXT.format(images="".join(f"    {each}\n" for each in images), push=push))
    return 0


def _targets(options: argparse.Namespace) -> tuple[str, ...]:
    return tuple(options.targets) or TARGETS


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
    parser.add_argument("--storage", type=Path, metavar="FOLDER",
                        help="where podman or buildah keeps images and layers, instead of its "
                        "usual place")  # fmt: skip
    parser.add_argument("--repository", default="kiln", help="before the image's name (kiln)")
    parser.add_argument("--tag", default=model.__version__, help=f"({model.__version__})")
    return parser


def _target(name: str) -> str:
    if name not in TARGETS:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(TARGETS)}")
    return name


if __name__ == "__main__":
    sys.exit(main())
