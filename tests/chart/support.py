"""Programs as the tests of the chart use them, and the objects that they print."""

import os
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts/kiln"
MANIFESTS = ROOT / "manifests"
OVERLAYS = sorted((MANIFESTS / "overlays").iterdir())
# Sets of values that people would have. Without one of them, the defaults.
VALUES = sorted((Path(__file__).parent / "values").glob("*.yaml"))
RELEASE = "kiln"
NAMESPACE = "kiln-system"
SECONDS = 60.0
Object = dict[str, Any]


class Failed(AssertionError):
    """A program's exit status was not 0; the message is what it said."""


@dataclass(frozen=True, slots=True)
class Program:
    """``first``: arguments of every call."""

    path: Path
    first: tuple[str, ...] = ()

    def run(self, *arguments: str, text: str = "") -> str:
        """What it prints.

        Raises:
            Failed: its exit status was not 0.
        """
        return run([str(self.path), *self.first, *arguments], text=text)


@dataclass(frozen=True, slots=True)
class Helm:
    """``home`` takes what it keeps for its user. ``kubeconfig``: of a cluster, if there is one."""

    path: Path
    chart: Path
    home: Path
    kubeconfig: Path | None = None
    namespace: str = NAMESPACE

    def run(self, *arguments: str, text: str = "", seconds: float = SECONDS) -> str:
        """What it prints.

        Raises:
            Failed: its exit status was not 0.
        """
        kept = {f"HELM_{each}_HOME": str(self.home) for each in ("CACHE", "CONFIG", "DATA")}
        where = ["--kubeconfig", str(self.kubeconfig)] if self.kubeconfig else []
        command = [str(self.path), *arguments, "--namespace", self.namespace, *where]
        return run(command, text=text, environment=kept, seconds=seconds)

    def template(self, *flags: str, values: Any = None, release: str = RELEASE) -> list[Object]:
        """What the chart makes. ``values`` come after those of the flags."""
        return objects(self.text(*flags, values=values, release=release))

    def text(self, *flags: str, values: Any = None, release: str = RELEASE) -> str:
        """The same, as it is printed."""
        own = ("-f", "-") if values is not None else ()
        given = yaml.safe_dump(values) if values is not None else ""
        return self.run("template", release, str(self.chart), *flags, *own, text=given)

    def refused(self, *flags: str, values: Any = None) -> str:
        """What it says when it makes nothing, which it must."""
        try:
            made = self.text(*flags, values=values)
        except Failed as failure:
            return str(failure)
        raise AssertionError(f"not refused: {values}: {made}")


def run(
    command: Sequence[str],
    *,
    text: str = "",
    environment: dict[str, str] | None = None,
    seconds: float = SECONDS,
) -> str:
    """What a program prints; see ``Program.run``."""
    result = subprocess.run(
        command,
        input=text,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if result.returncode:
        raise Failed(f"{result.stdout.strip()}\n{result.stderr.strip()}".strip())
    return result.stdout


def objects(text: str) -> list[Object]:
    """Of several documents."""
    return [each for each in yaml.load_all(text, Loader=yaml.CSafeLoader) if each]


def the(found: Iterable[Object], kind: str, name: str = "") -> Object:
    """The only object of a kind, or the one of this name."""
    (one,) = [
        each
        for each in found
        if each["kind"] == kind and (not name or each["metadata"]["name"] == name)
    ]
    return one


def container(found: Iterable[Object]) -> Object:
    """The operator's."""
    (one,) = the(found, "Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(one)
