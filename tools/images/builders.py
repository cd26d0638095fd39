"""The builders of images that Kiln can use: data, and which of them works here."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .errors import ImageError

NONE_WORKS = (
    "no builder of images works here (tried {names}): install podman or buildah, or start docker"
)
# Of pip: settings, and the variables of its environment that give them.
PIP_SETTINGS = {
    "index-url": "PIP_INDEX_URL",
    "extra-index-url": "PIP_EXTRA_INDEX_URL",
    "cert": "PIP_CERT",
}


@dataclass(frozen=True, slots=True)
class Builder:
    """``check`` ends with 0 where it can work; ``volumes`` says whether a build may mount some.

    ``options`` come before every command. ``stored``: whether another place than its usual one can
    be told for its images and layers.
    """

    name: str
    check: tuple[str, ...]
    build: tuple[str, ...]
    volumes: bool
    stored: bool
    options: tuple[str, ...] = ()

    def line(self, *arguments: str) -> list[str]:
        """One of its commands."""
        return [self.name, *self.options, *arguments]

    def storing_in(self, folder: Path) -> "Builder":
        """The same with its images and layers in ``folder``.

        Raises:
            ImageError: it has no such choice.
        """
        if not self.stored:
            raise ImageError(
                f"{self.name} keeps images where its daemon does: no --storage with it"
            )
        return replace(self, options=("--root", str(folder), "--runroot", str(folder / "run")))

    @property
    def works(self) -> bool:
        """Whether it is installed and, where it needs one, its daemon answers."""
        if shutil.which(self.name) is None:
            return False
        done = subprocess.run(self.line(*self.check), capture_output=True, check=False)
        return done.returncode == 0


BUILDERS = (
    Builder("docker", ("info",), ("build",), volumes=False, stored=False),
    Builder("podman", ("version",), ("build", "--layers"), volumes=True, stored=True),
    # In a chroot it needs neither user namespaces nor a runtime for containers.
    Builder(
        "buildah",
        ("version",),
        ("bud", "--layers", "--isolation", "chroot"),
        volumes=True,
        stored=True,
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


def command(
    builder: Builder, build: Build, root: Path, stages: Path, settings: Path | None = None
) -> list[str]:
    """What builds it from the checkout at ``root`` by the Dockerfile ``stages``, with the
    ``settings`` that pip shall have.
    """
    return [
        *builder.line(*builder.build),
        *("--file", str(stages), "--target", build.target, "--tag", build.tag),
        *(("--build-arg", f"BASE={build.base}") if build.base else ()),
        *(("--secret", f"id=pip,src={settings}") if settings else ()),
        *_trusted(builder),
        *(part for name, value in build.labels for part in ("--label", f"{name}={value}")),
        str(root),
    ]


def run(line: Sequence[str]) -> None:
    """Run a builder's command; what it says goes to this terminal, as messages.

    Raises:
        ImageError: it failed.
    """
    status = subprocess.run(line, stdout=sys.stderr, check=False).returncode
    if status:
        raise ImageError(f"status {status} from: {' '.join(line)}")


def pip_settings(builder: Builder) -> str:
    """Where pip finds packages and whom it trusts, here, is where and whom it does in the build.

    As a file of settings; empty where the environment says nothing of it.
    """
    names = {key: name for key, name in PIP_SETTINGS.items() if os.environ.get(name)}
    if not builder.volumes:
        names.pop("cert", None)
    lines = [f"{key} = {os.environ[name]}" for key, name in names.items()]
    return "\n".join(("[global]", *lines, "")) if lines else ""


def _trusted(builder: Builder) -> tuple[str, ...]:
    """The authorities' certificates, mounted where they are here."""
    file = os.environ.get(PIP_SETTINGS["cert"])
    if not (file and builder.volumes):
        return ()
    folder = Path(file).parent
    return ("--volume", f"{folder}:{folder}:ro")
