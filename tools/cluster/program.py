"""What a program of a cluster is: what is built, how it is started, how it is known to work."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .layout import Layout


@dataclass(frozen=True, slots=True)
class Program:
    """``health`` answers 200 when the program works; ``prepare`` runs before its first start.

    ``node``: it has no reason to be in a cluster without a node. ``node_flags`` come on top of
    ``flags`` in a cluster with one.
    """

    name: str
    family: str
    binary: str
    flags: Mapping[str, str]
    health: str
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[Layout], None] | None = None
    node: bool = False
    node_flags: Mapping[str, str] = field(default_factory=dict)

    def path(self, layout: Layout) -> Path:
        """The program's file."""
        return layout.built[self.family] / self.binary

    def command(self, layout: Layout) -> list[str]:
        """As it is started in one cluster."""
        flags = {**self.flags, **self.node_flags} if layout.node else self.flags
        filled = [f"--{name}={layout.fill(text)}" for name, text in flags.items()]
        return [str(self.path(layout)), *filled]
