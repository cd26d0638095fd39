"""The contract is what the operator imports, in an image without torch or kserve."""

import subprocess
import sys
from pathlib import Path

import model.contract

MODULES = sorted(
    f"model.contract.{path.stem}"
    for path in Path(model.contract.__file__).parent.glob("*.py")
    if path.stem != "__init__"
)
HEAVY = ("torch", "numpy", "kserve", "diffusers", "transformers", "PIL", "grpc", "fastapi")


def test_the_contract_imports_nothing_heavy() -> None:
    program = f"import sys, {', '.join(MODULES)}; print([n for n in {HEAVY} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(model.contract.__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert MODULES
    assert done.stdout.strip() == "[]"
