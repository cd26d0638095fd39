"""The Dockerfile, the targets that are built from it, and what may go into an image."""

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

import model
from tools.images.__main__ import main
from tools.images.checkout import TARGETS, labels, up_to

ROOT = Path(model.__file__).parents[1]
STAGE = re.compile(r"^FROM \S+ AS (\S+)$", re.MULTILINE)
COPY = re.compile(r"^COPY (?!--from)(\S+) ", re.MULTILINE)
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_every_target_is_a_stage_that_runs_as_nobody() -> None:
    _, *parts = STAGE.split(TEXT)
    bodies = dict(zip(parts[::2], parts[1::2], strict=True))
    for target in TARGETS:
        assert "\nUSER 65532:65532\n" in bodies[target]
        assert "\nSTOPSIGNAL SIGTERM\n" in bodies[target]
        assert "org.opencontainers.image.licenses=" in bodies[target]


def test_what_is_copied_is_there_and_not_ignored() -> None:
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = [rule[1:] for rule in rules if rule.startswith("!")]
    copied = COPY.findall(TEXT)
    assert len(copied) >= 6
    for path in copied:
        assert (ROOT / path).exists()
        assert any(fnmatch(path.split("/")[0], rule) for rule in let_in), path


def test_the_operators_image_gets_the_contract_alone_of_the_model_server() -> None:
    controller = TEXT.split("AS controller-code")[1].split("\nFROM ")[0]
    assert [path for path in COPY.findall(controller) if path.startswith("model")] == [
        "model/__init__.py",
        "model/contract",
    ]


def test_a_build_is_labelled_with_its_version() -> None:
    assert labels(ROOT)["org.opencontainers.image.version"] == model.__version__


@pytest.mark.parametrize("target", TARGETS)
def test_the_target_is_the_last_stage_of_what_a_builder_gets(target: str) -> None:
    stages = up_to(target, TEXT)
    assert TEXT.startswith(stages)
    assert STAGE.findall(stages)[-1] == target
    assert stages.rpartition("\nENTRYPOINT ")[1], "the whole of it"
    assert f" AS {target}\n" in stages.rpartition("\nENTRYPOINT ")[0].rpartition("\nFROM ")[2]


def test_an_unknown_target_is_told_with_those_that_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["modle"])
    assert "'modle' is none of controller, model, model-cpu" in capsys.readouterr().err
