"""The schema and the page of the chart's values, and the rights, from their sources."""

import json

import pytest

from controller.api.kinds import WATCHED
from tools.reference import chart, rights

TEXT = """\
# How many.
replicas: 2
# One part.
part:
  # Its name,
  # in two lines.
  name: ""
# Free.
commonLabels: {}
"""


def test_a_default_gives_its_type_and_the_comment_its_meaning() -> None:
    found = json.loads(chart.schema(TEXT))
    assert found["additionalProperties"] is False
    assert found["properties"]["replicas"] == {"type": "integer", "description": "How many."}
    part = found["properties"]["part"]
    assert part["additionalProperties"] is False
    assert part["properties"]["name"]["description"] == "Its name, in two lines."
    # What MORE says of a key wins: this one is the user's own.
    assert found["properties"]["commonLabels"]["additionalProperties"] == {"type": "string"}


def test_a_key_without_a_comment_is_an_error_that_names_it() -> None:
    with pytest.raises(ValueError, match=r"values\.yaml:3: part\.name has no comment above it"):
        chart.schema("# One part.\npart:\n  name: kiln\n")


def test_the_page_has_every_value() -> None:
    page = chart.page(TEXT)
    assert '| `part.name` | `""` | Its name, in two lines. |' in page
    assert "| `part` |  | One part. |" in page


def test_c11_every_kind_that_is_watched_may_be_read_and_nothing_else() -> None:
    read = {
        (rule["apiGroups"][0], rule["resources"][0])
        for rule in rights.operator_rules()
        if "watch" in rule["verbs"]
    }
    assert read == {(each.group, each.plural) for each in WATCHED}


def test_c11_no_rule_is_for_everything() -> None:
    rules = [*rights.operator_rules(), *rights.leader_rules()]
    assert "*" not in json.dumps(rules)
    assert "secrets" not in json.dumps(rules)


def test_c11_in_one_namespace_nothing_is_the_clusters() -> None:
    assert "Cluster" not in rights.namespaced()
