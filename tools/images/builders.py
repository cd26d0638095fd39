"""The builders of images that Kiln can use: data, and which of them works here."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import ImageError

NONE_WORKS = (
    "no builder of images works here (tried {names}): install podman or buildah, or start docker"
)


@dataclass(frozen=True, slots=True)
class Builder:
    """``check`` ends with 0 where it can work; ``volumes`` says whether a build may mount some."""

    name: str
    check: tuple[str, ...]
    build: tuple[str, ...]
    volumes: bool

    @property
    def works(self) -> bool:
        """Whether it is installed and, where it needs one, its daemon answers."""
        if shutil.which(self.name) is None:
            return False
        return subprocess.run(self.check, capture_output=True, check=False).returncode == 0


BUILDERS = (
    Builder("docker", ("docker", "info"), ("docker", "build"), volumes=False),
    Builder("podman", ("podman", "version"), ("podman", "build", "--layers"), volumes=True),
    # In a chroot it needs neither user namespaces nor a runtime for containers.
    Builder(
        "buildah",
        ("buildah", "version"),
        ("buildah", "bud", "--layers", "--isolation", "chroot"),
        volumes=True,
    ),
)


@dataclass(frozen=True, slots=True)
class Build:
    """One target of the Dockerfile. ``base``: another image to start from."""

    target: str
    tag: str
    base: str | None = None
    labels: tuple[tuple[str, str], ...] = ()


def find(name: str | None = None) -> Builder:
    """The builder of that name, or the first that works.

    Raises:
        ImageError: it does not work here, or none does.
    """
    wanted = [each for each in BUILDERS if name in (None, each.name)]
    for builder in wanted:
        if builder.works:
            return builder
    raise ImageError(NONE_WORKS.format(names=", ".join(each.name for each in wanted)))


def command(builder: Builder, build: Build, root: Path) -> list[str]:
    """What builds it from the checkout at ``root``."""
    return [
        *builder.build,
        *("--file", str(root / "Dockerfile"), "--target", build.target, "--tag", build.tag),
        *(("--build-arg", f"BASE={build.base}") if build.base else ()),
        *_of_the_machine(builder),
        *(part for name, value in build.labels for part in ("--label", f"{name}={value}")),
        str(root),
    ]


def run(line: Sequence[str]) -> None:
    """Run a builder's command; what it says goes to this terminal.

    Raises:
        ImageError: it failed.
    """
    status = subprocess.run(line, check=False).returncode
    if status:
        raise ImageError(f"status {status} from: {' '.join(line)}")


def _of_the_machine(builder: Builder) -> tuple[str, ...]:
    """Where pip finds packages and whom it trusts, here, is where and whom it does in the build."""
    given = [name for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL") if os.environ.get(name)]
    found = [part for name in given for part in ("--build-arg", f"{name}={os.environ[name]}")]
    trusted = os.environ.get("PIP_CERT")
    if trusted and builder.volumes:
        folder = Path(trusted).parent
        found += ["--build-arg", f"PIP_CERT={trusted}", "--volume", f"{folder}:{folder}:ro"]
    return tuple(found)
