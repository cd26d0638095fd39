"""What is known of the cluster."""

import json
from typing import Any

import pytest

from controller.api.kinds import DEPLOYMENT, POD, SERVICE
from controller.observed import Observed, ServiceKey, is_newer

KEY = ServiceKey("art", "fox")


def body(version: str, name: str = "fox", uid: str = "1", **more: Any) -> dict[str, Any]:
    labels = {"kiln.dev/service": "fox", "kiln.dev/part": "front"}
    metadata = {"name": name, "namespace": "art", "uid": uid, "resourceVersion": version}
    return {"metadata": {**metadata, "labels": labels, **more}}


def test_the_newest_stays_whatever_comes_in_which_order() -> None:
    observed = Observed()
    for version in ("9", "11", "10"):
        observed.put(DEPLOYMENT, body(version))
    found = observed.child(KEY, "Deployment", "fox")
    assert found is not None
    assert found["metadata"]["resourceVersion"] == "11"


@pytest.mark.parametrize(
    ("new", "known", "newer"),
    [
        (body("10"), None, True),
        (body("10"), body("9"), True),
        (body("9"), body("10"), False),
        (body("9"), body("9"), False),
        (body("1", uid="2"), body("10"), True),
        (body("x"), body("10"), True),
    ],
)
def test_versions_are_numbers(new: Any, known: Any, newer: bool) -> None:
    assert is_newer(new, known) is newer


def test_equal_words_of_several_bodies_are_one_in_memory() -> None:
    observed = Observed()
    for name in ("a", "b"):
        text = '{"image": "kiln-model:1", "empty": {}, "args": ["--role", "router"]}'
        observed.put(DEPLOYMENT, {**body("1", name=name), "spec": json.loads(text)})
    one, other = (found["spec"] for _, found in observed.children(KEY))
    assert one == other == {"image": "kiln-model:1", "empty": {}, "args": ["--role", "router"]}
    assert one["image"] is other["image"]
    assert one["args"][1] is other["args"][1]
    assert one["empty"] is other["empty"]


def test_an_object_of_nobody_is_not_kept() -> None:
    observed = Observed()
    stranger = {"metadata": {"name": "x", "namespace": "art"}}
    assert observed.put(DEPLOYMENT, stranger) is None
    assert not observed.belongings


def test_what_is_gone_leaves_nothing_behind() -> None:
    observed = Observed()
    observed.put(SERVICE, body("1"))
    observed.put(DEPLOYMENT, body("1"))
    assert observed.remove(DEPLOYMENT, body("2")) == KEY
    assert observed.remove(SERVICE, body("2")) == KEY
    assert not observed.services
    assert not observed.belongings


def test_of_a_pod_only_what_is_read_is_kept() -> None:
    observed = Observed()
    pod = body("1", managedFields=[{"manager": "kubelet"}])
    observed.put(POD, {**pod, "spec": {"containers": [1]}, "status": {"phase": "Running"}})
    (found,) = observed.pods(KEY, "front")
    assert "spec" not in found
    assert "managedFields" not in found["metadata"]
    assert found["status"] == {"phase": "Running"}


def test_pods_on_their_way_out_are_not_counted() -> None:
    observed = Observed()
    observed.put(POD, body("1", name="a"))
    observed.put(POD, body("1", name="b", deletionTimestamp="2026-01-01T00:00:00Z"))
    assert [each["metadata"]["name"] for each in observed.pods(KEY, "front")] == ["a"]
    assert observed.pods(KEY, "encoder") == []


def test_c08_items_of_a_list_get_their_kind() -> None:
    observed = Observed()
    observed.put(DEPLOYMENT, body("1"))
    found = observed.child(KEY, "Deployment", "fox")
    assert found is not None
    assert (found["apiVersion"], found["kind"]) == ("apps/v1", "Deployment")
