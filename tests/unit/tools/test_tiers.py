"""The table that ends a run counts truly, and CI accepts no silent skip."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[2] / "conftest.py"

TESTS = {
    "unit/test_one.py": """
import pytest
def test_passes(): pass
def test_fails(): assert False
@pytest.mark.skip(reason="lazy")
def test_skips(): pass
""",
    "contract/test_two.py": """
import pytest
def test_passes(): pass
@pytest.fixture
def broken(): raise RuntimeError
def test_errors(broken): pass
@pytest.mark.xfail(reason="known", strict=True)
def test_expected(): assert False
""",
    "integration/families/test_three.py": "def test_passes(): pass",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in TESTS.items():
        path = tmp_path / "tests" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    shutil.copy(CONFTEST, tmp_path / "tests/conftest.py")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    return tmp_path


def run(project: Path, *arguments: str, ci: bool = False) -> tuple[int, dict[str, list[str]], str]:
    """The exit status, the table's rows by tier, and the whole output."""
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=project,
        env=environment | ({"CI": "true"} if ci else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line.split("|") for line in done.stdout.splitlines() if line.count("|") == 4]
    rows = {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines}
    return done.returncode, rows, done.stdout


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one process", "two workers"])
def test_table_counts_every_outcome(project: Path, workers: tuple[str, ...]) -> None:
    status, rows, output = run(project, *workers)
    assert status == 1
    assert rows["unit"] == ["2", "1", "1", "lazy (1)"]
    assert rows["contract"] == ["2", "1", "1", "expected to fail: known (1)"]
    assert rows["families"] == ["1", "1", "0", ""]
    assert "2 failed" not in output.splitlines()[-1]
    assert "3 passed" in output.splitlines()[-1]


def test_table_names_what_was_not_asked_for(project: Path) -> None:
    _, rows, _ = run(project, "tests/integration")
    assert rows["unit"] == ["0", "0", "0", "not asked for"]
    _, rows, _ = run(project, "-k", "errors")
    assert rows["unit"][-1] == "not selected (3)"


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one process", "two workers"])
@pytest.mark.parametrize(("ci", "status"), [(False, 0), (True, 1)])
def test_ci_fails_on_a_skip_without_a_permitted_reason(
    project: Path, ci: bool, status: int, workers: tuple[str, ...]
) -> None:
    found, _, output = run(project, "-k", "skips", *workers, ci=ci)
    assert found == status
    assert ("without a permitted reason: lazy" in output) == ci


def test_ci_fails_on_a_whole_file_that_skips_itself(project: Path) -> None:
    path = project / "tests/unit/test_one.py"
    path.write_text("import pytest\npytest.importorskip('no_such_library_at_all')\n")
    found, rows, _ = run(project, "tests/unit", ci=True)
    assert found != 0
    assert "no_such_library_at_all" in rows["unit"][-1]


def test_ci_permits_gpu_tests_without_a_gpu(project: Path) -> None:
    path = project / "tests/unit/test_one.py"
    path.write_text("import pytest\n@pytest.mark.gpu\ndef test_large(): pass\n")
    found, rows, _ = run(project, "tests/unit", "tests/integration", ci=True)
    assert found == 0
    assert rows["gpu"] in (["0", "0", "0", "no GPU (1)"], ["1", "1", "0", ""])
