"""What is written down about a running cluster, so that another process can end it."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from .layout import Layout
from .processes import Running

NAME = "cluster.json"


@dataclass(frozen=True, slots=True)
class Record:
    """``without``: names of programs that it was brought up without.

    ``owner``: the cluster has no reason to be once this process is gone.
    """

    layout: Layout
    processes: dict[str, Running] = field(default_factory=dict)
    owner: Running | None = None
    without: tuple[str, ...] = ()

    @property
    def abandoned(self) -> bool:
        return self.owner is not None and not self.owner.alive

    def with_process(self, name: str, running: Running) -> "Record":
        """The record with one more process, or with another one of that name."""
        return replace(self, processes={**self.processes, name: running})


def write(record: Record) -> None:
    """Replace the record in its folder, in one step."""
    layout = record.layout
    content = {
        "ports": dict(layout.ports),
        "node": layout.node,
        "built": {name: str(folder) for name, folder in layout.built.items()},
        "processes": {name: asdict(each) for name, each in record.processes.items()},
        "owner": asdict(record.owner) if record.owner else None,
        "without": record.without,
    }
    beside = layout.file(f"{NAME}.new")
    beside.write_text(json.dumps(content, indent=2), encoding="utf-8")
    beside.replace(layout.file(NAME))


def read(folder: Path) -> Record | None:
    """None where no cluster is."""
    try:
        content = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    built = {name: Path(place) for name, place in content["built"].items()}
    owner = content["owner"]
    return Record(
        # Not there in the record of a cluster from before a node could be chosen.
        Layout(folder, content["ports"], built, content.get("node", False)),
        {name: Running(**each) for name, each in content["processes"].items()},
        Running(**owner) if owner else None,
        # Not there in the record of a cluster from before this could be chosen.
        tuple(content.get("without", ())),
    )
