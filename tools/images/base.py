"""A base image made of Debian's packages, for machines that reach no registry of images."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .builders import Builder, run
from .errors import ImageError

RELEASE = "bookworm"
PACKAGES = ("python3", "python3-venv", "ca-certificates")
# What a container never reads: a third of it all.
NOT_NEEDED = (
    *("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian"),
    *("var/cache/apt", "var/lib/apt/lists", "var/log"),
)
COMMAND = ("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", RELEASE)
REPOSITORY = "localhost/kiln-python"


def tag() -> str:
    """By its recipe: another recipe is another image."""
    recipe = "\n".join((*COMMAND, *NOT_NEEDED))
    return f"{REPOSITORY}:{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


def debian(builder: Builder) -> str:
    """The image's name; it is built where this machine has it not yet.

    Raises:
        ImageError: debootstrap is missing or failed, or this is not root.
    """
    image = tag()
    found = subprocess.run(builder.line("inspect", image), capture_output=True, check=False)
    if found.returncode == 0:
        return image
    if shutil.which(COMMAND[0]) is None:
        raise ImageError("no debootstrap here: apt install debootstrap")
    if os.geteuid() != 0:
        raise ImageError("debootstrap makes a system's files, and so needs root")
    print(f"images: {' '.join(COMMAND)}: about a minute, once", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="kiln-base-") as temporary:
        context = Path(temporary)
        _fill(context / "system", context / "debootstrap.log")
        archive = ["tar", "-C", str(context / "system"), "-c", "-f", f"{context}/system.tar", "."]
        run(archive)
        shutil.rmtree(context / "system")
        file = context / "Dockerfile"
        file.write_text("FROM scratch\nADD system.tar /\n", encoding="utf-8")
        run(builder.line(*builder.build, "--file", str(file), "--tag", image, str(context)))
    return image


def _fill(system: Path, log: Path) -> None:
    with log.open("wb") as output:
        done = subprocess.run([*COMMAND, str(system)], stdout=output, stderr=output, check=False)
    if done.returncode:
        lines = log.read_text(errors="replace").splitlines()[-15:]
        raise ImageError(f"status {done.returncode} from debootstrap:\n" + "\n".join(lines))
    for name in NOT_NEEDED:
        shutil.rmtree(system / name, ignore_errors=True)
        (system / name).mkdir(parents=True)
    for cache in system.rglob("__pycache__"):
        shutil.rmtree(cache)
