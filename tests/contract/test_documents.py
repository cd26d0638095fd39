"""What the documents tell people to write is there, and is valid: services, values of the chart,
fields, targets of make, programs, and the pages that they point to.
"""

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from controller.offline import validate_files

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(each for each in (ROOT / "docs").rglob("*.md") if each.parent.name != "reference"),
    ]
)
VALUES = ROOT / "charts/kiln/values.yaml"
DEFINITION = ROOT / "controller/api/crd.json"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+\.\w+)(?:#([\w-]+))?\)|\]\(#([\w-]+)\)")
SET = re.compile(r"--set(?:-string|-json)?[= ]'?([\w.]+=[^\s']+)")
FIELD = re.compile(r"\bspec((?:\.[a-z]\w*)+)")
SHELLS = ("sh", "shell", "console")

each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=[str(each.relative_to(ROOT)) for each in DOCUMENTS]
)


def blocks(document: Path, *languages: str) -> Iterator[str]:
    for language, text in BLOCK.findall(document.read_text(encoding="utf-8")):
        if language in languages:
            yield text


def there(path: str) -> bool:
    """Whether there is a field below ``spec``, such as ``.warmup.mode``. Mappings take any key."""
    (version,) = json.loads(DEFINITION.read_text(encoding="utf-8"))["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    for name in path.removeprefix(".").split("."):
        if "properties" not in schema:
            return "additionalProperties" in schema
        if name not in schema["properties"]:
            return False
        schema = schema["properties"][name]
    return True


def anchors(document: Path) -> set[str]:
    """Of its headlines, as GitHub makes them."""
    text = BLOCK.sub("", document.read_text(encoding="utf-8"))
    headlines = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).strip().replace(" ", "-") for each in headlines}


@each_document
def test_c14_every_service_in_it_is_valid(
    document: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for place, text in enumerate(blocks(document, "yaml")):
        bodies = list(yaml.safe_load_all(text))
        if any(each.get("kind") == "DiffusionService" for each in bodies if each):
            file = tmp_path / f"{place}.yaml"
            file.write_text(text, encoding="utf-8")
            assert validate_files([str(file)], "default") == 0, capsys.readouterr().err


@each_document
def test_every_field_that_it_names_is_there(document: Path) -> None:
    named = set(FIELD.findall(document.read_text(encoding="utf-8")))
    assert {each for each in named if not there(each)} == set()


@each_document
def test_every_value_that_it_sets_is_the_charts(document: Path) -> None:
    known = yaml.safe_load(VALUES.read_text(encoding="utf-8"))
    for text in blocks(document, *SHELLS):
        for assignments in SET.findall(text):
            for key in re.findall(r"(?:^|,)([\w.]+)=", assignments):
                found = known
                for name in key.split("."):
                    # A mapping that is empty by default takes any key: labels.
                    assert found == {} or name in found, key
                    found = found.get(name, {})


@each_document
def test_every_page_that_it_points_to_is_there(document: Path) -> None:
    for target, anchor, own in LINK.findall(document.read_text(encoding="utf-8")):
        page = document.parent / target if target else document
        assert page.exists(), target
        if (anchor or own) and page.suffix == ".md":
            assert (anchor or own) in anchors(page), f"{target}#{anchor or own}"


@each_document
def test_every_program_that_it_calls_is_there(document: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for text in blocks(document, *SHELLS):
        for target in re.findall(r"^(?:sudo )?make ([a-z-]+)", text, re.MULTILINE):
            assert target in targets
        for module in re.findall(r"python -m ([\w.]+)", text):
            assert importlib.util.find_spec(module), module


def test_there_are_documents_of_each_kind() -> None:
    """Else nothing above would be checked."""
    text = "".join(each.read_text(encoding="utf-8") for each in DOCUMENTS)
    assert text.count("kind: DiffusionService") >= 5
    assert len(SET.findall(text)) >= 3
    assert len(FIELD.findall(text)) >= 10
