"""The messages between roles, as Python, from their proto file."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from grpc_tools import protoc

ROOT: Final = Path(__file__).parents[2]
PROTO: Final = Path("model/transport/stages.proto")
MADE: Final = tuple(PROTO.with_name(f"{PROTO.stem}_pb2{ending}") for ending in (".py", ".pyi"))


def generated() -> Iterator[tuple[Path, str]]:
    """Every file that is made of it, and what it should hold.

    Raises:
        RuntimeError: the proto file is wrong; protoc has told how.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = ["protoc", f"--proto_path={ROOT}", f"--python_out={folder}"]
        if protoc.main([*command, f"--pyi_out={folder}", str(ROOT / PROTO)]):
            raise RuntimeError(f"protoc refuses {PROTO}")
        for each in MADE:
            yield ROOT / each, Path(folder, each).read_text(encoding="utf-8")
