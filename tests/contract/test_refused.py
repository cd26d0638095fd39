"""C14: what ``validate`` refuses, in the words of the API server. The cluster's tests send the same
table to a real one.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.api import names
from controller.api.validation import validated
from controller.errors import InvalidService

CASES = yaml.safe_load(Path(__file__).with_name("refused.yaml").read_text(encoding="utf-8"))
ENOUGH = 40


@pytest.mark.parametrize("case", CASES, ids=[each["case"] for each in CASES])
def test_c14_a_bad_service_is_refused_with_the_field_and_the_mend(case: dict[str, Any]) -> None:
    body = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": case.get("name", "x")},
        "spec": case["spec"],
    }
    with pytest.raises(InvalidService) as refusal:
        validated(body)
    assert case["says"] in str(refusal.value)


def test_c14_there_are_enough_of_them_and_none_twice() -> None:
    assert len({each["case"] for each in CASES}) == len(CASES) >= ENOUGH
