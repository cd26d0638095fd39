"""``python -m controller``: what it prints, how it ends, and that it stays light (C15)."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import controller
from controller.__main__ import main

ROOT = Path(controller.__file__).parents[1]
HEAVY = ("torch", "kserve", "numpy", "diffusers", "transformers", "PIL", "fastapi", "grpc")
SLOW = ("pydantic", "kubernetes", "kopf", "cel", "yaml")
REFUSED = 3
WRONG = 2

GOOD = """
apiVersion: kiln.dev/v1alpha1
kind: DiffusionService
metadata: {name: fox}
spec: {replicas: 2}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: other}
"""
BAD = GOOD.replace("replicas: 2", "replicas: many")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "fox.yaml"
    path.write_text(GOOD, encoding="utf-8")
    return path


def modules_after(statement: str) -> str:
    program = (
        f"import sys\n{statement}\nprint(sorted({{n.partition('.')[0] for n in sys.modules}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-1]


def test_help_imports_nothing_slow() -> None:
    ending = "from controller.__main__ import main\ntry: main(['--help'])\nexcept SystemExit: pass"
    assert not [each for each in SLOW if f"'{each}'" in modules_after(ending)]


def test_the_whole_operator_imports_nothing_of_the_model_server() -> None:
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / "controller").rglob("*.py")
        if path.stem != "__main__"
    ]
    found = modules_after(f"import {', '.join(names)}")
    assert not [each for each in HEAVY if f"'{each}'" in found]


def test_c15_render_prints_what_would_be_applied(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render", "-f", str(file), "-n", "art", "--image", "mine:1"]) == 0
    printed = capsys.readouterr()
    objects = list(yaml.safe_load_all(printed.out))
    (deployment,) = (each for each in objects if each["kind"] == "Deployment")
    assert deployment["spec"]["replicas"] == 2
    assert deployment["metadata"]["namespace"] == "art"
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "mine:1"
    assert "spec.backend is Auto: rendered for Deployment; choose with --backend" in printed.err


def test_c15_render_takes_the_backend_that_auto_stands_for(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render", "-f", str(file), "--backend", "KServe"]) == 0
    assert "kind: InferenceService" in capsys.readouterr().out


def test_c15_render_into_a_reader_that_has_seen_enough_ends_quietly(file: Path) -> None:
    file.write_text(GOOD.replace("spec: {", "spec: {backend: KServe, "), encoding="utf-8")
    many = [word for _ in range(60) for word in ("-f", str(file))]  # more than a pipe holds
    process = subprocess.Popen(
        [sys.executable, "-m", "controller", "render", *many],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline()
    process.stdout.close()
    assert process.stderr
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(60) == 128 + signal.SIGPIPE


def test_c15_render_leaves_the_signals_of_its_process_alone(file: Path) -> None:
    """Who calls ``main`` would be killed later, by a pipe that has nothing to do with it."""
    before = signal.getsignal(signal.SIGPIPE)
    main(["render", "-f", str(file)])
    assert signal.getsignal(signal.SIGPIPE) is before is signal.SIG_IGN


def test_c15_the_backend_of_the_spec_goes_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "fox.yaml"
    path.write_text(GOOD.replace("replicas: 2", "backend: Deployment"), encoding="utf-8")
    assert main(["render", "-f", str(path), "--backend", "KServe"]) == 0
    printed = capsys.readouterr()
    assert "InferenceService" not in printed.out
    assert not printed.err


def test_c14_validate_says_what_is_valid(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "-f", str(file)]) == 0
    assert capsys.readouterr().out == f"{file}[1]: default/fox is valid\n"


def test_c14_validate_names_the_file_and_the_field(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "fox.yaml"
    path.write_text(BAD, encoding="utf-8")
    assert main(["validate", "-f", str(path)]) == REFUSED
    assert capsys.readouterr().err.startswith(f"{path}[1]: spec.replicas: Invalid value")


def test_c14_validate_checks_the_name_that_kserve_makes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "fox.yaml"
    path.write_text(GOOD.replace("replicas: 2", "backend: KServe"), encoding="utf-8")
    assert main(["validate", "-f", str(path)]) == 0
    assert main(["validate", "-f", str(path), "-n", "n" * 60]) == REFUSED
    assert "longer than the 63 of a DNS label" in capsys.readouterr().err


def test_c14_a_file_without_a_service_is_no_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "other.yaml"
    path.write_text(GOOD.partition("---")[2], encoding="utf-8")
    assert main(["validate", "-f", str(path)]) == REFUSED
    assert "there is no DiffusionService in it" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, "a: [", b"\xff\xfe\x00"])
def test_files_that_cannot_be_read_are_wrong_input(
    tmp_path: Path, content: str | bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "broken.yaml"
    if isinstance(content, str):
        path.write_text(content, encoding="utf-8")
    elif content is not None:
        path.write_bytes(content)
    assert main(["validate", "-f", str(path)]) == WRONG
    assert capsys.readouterr().err.startswith(f"kiln: {path}: ")


def test_c14_json_is_read_as_well(tmp_path: Path) -> None:
    path = tmp_path / "fox.json"
    path.write_text(json.dumps(next(yaml.safe_load_all(GOOD))), encoding="utf-8")
    assert main(["validate", "-f", str(path)]) == 0
