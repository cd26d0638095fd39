"""What ``python -m controller try`` refuses before it asks a cluster."""

import json
from typing import Any

import pytest

from controller.__main__ import main
from controller.errors import BadInput, InvalidService
from controller.trial import Trial


def body(spec: str) -> dict[str, Any]:
    return Trial("art", spec, timeout=1, kubeconfig=None).body()


def test_a_service_has_a_name_of_its_own() -> None:
    first, second = body("{}"), body("{}")
    assert first["metadata"]["name"] != second["metadata"]["name"]
    assert first["metadata"]["namespace"] == "art"
    assert first["spec"] == {}


@pytest.mark.parametrize(
    ("spec", "error", "said"),
    [
        ("{", BadInput, "--spec: .*; write the spec as JSON"),
        ("[]", BadInput, r"--spec: write an object, such as \{\}"),
        (json.dumps({"replica": 1}), InvalidService, "spec.replica"),
        (json.dumps({"replicas": -1}), InvalidService, "spec.replicas: .*must be at least 0"),
    ],
)
def test_c14_a_spec_that_cannot_be_is_refused_with_its_field(
    spec: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        body(spec)


def test_it_ends_with_a_status_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["try", "--spec", '{"replica": 1}']) == InvalidService.exit_code
    assert "did you mean replicas" in capsys.readouterr().err
    assert main(["try", "--kubeconfig", "/nowhere"]) == BadInput.exit_code
    assert "no cluster" in capsys.readouterr().err
