"""Whether a child must be written (C07, C08). The managedFields are those that a real API server
wrote for these objects.
"""

import copy
from typing import Any

import pytest

from controller.difference import must_apply, says

WANTED: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "fox", "labels": {"a": "b"}},
    "spec": {
        "replicas": 0,
        "template": {
            "spec": {
                "automountServiceAccountToken": False,
                "containers": [
                    {
                        "name": "c",
                        "args": ["serve", "--a=b"],
                        "env": [{"name": "A", "value": ""}, {"name": "B", "value": "1"}],
                        "resources": {"limits": {"cpu": "0.5", "memory": "1024Mi"}},
                        "volumeMounts": [{"name": "v", "mountPath": "/v", "readOnly": False}],
                    }
                ],
                "nodeSelector": {},
            }
        },
    },
}
OWNED = {
    "f:metadata": {"f:labels": {"f:a": {}}},
    "f:spec": {
        "f:replicas": {},
        "f:template": {
            "f:spec": {
                "f:automountServiceAccountToken": {},
                "f:containers": {
                    'k:{"name":"c"}': {
                        ".": {},
                        "f:args": {},
                        "f:env": {
                            'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}},
                            'k:{"name":"B"}': {".": {}, "f:name": {}, "f:value": {}},
                        },
                        "f:name": {},
                        "f:resources": {"f:limits": {"f:cpu": {}, "f:memory": {}}},
                        "f:volumeMounts": {
                            'k:{"mountPath":"/v"}': {
                                ".": {},
                                "f:mountPath": {},
                                "f:name": {},
                                "f:readOnly": {},
                            }
                        },
                    }
                },
                "f:nodeSelector": {},
            }
        },
    },
}


def live() -> dict[str, Any]:
    """As the server keeps it: zero values left out, quantities in its own form, defaults added."""
    body = copy.deepcopy(WANTED)
    body["metadata"]["managedFields"] = [
        {"manager": "kiln", "operation": "Apply", "fieldsV1": copy.deepcopy(OWNED)},
        {"manager": "other", "operation": "Update", "fieldsV1": {"f:spec": {"f:paused": {}}}},
    ]
    pod = body["spec"]["template"]["spec"]
    del pod["nodeSelector"]
    (container,) = pod["containers"]
    container["env"] = [{"name": "B", "value": "1"}, {"name": "A"}, {"name": "X", "value": "y"}]
    container["resources"] = {"limits": {"cpu": "500m", "memory": "1Gi"}}
    container["imagePullPolicy"] = "IfNotPresent"
    del container["volumeMounts"][0]["readOnly"]
    body["spec"]["revisionHistoryLimit"] = 10
    return body


def test_c08_what_the_server_made_of_it_is_the_same() -> None:
    assert not must_apply(WANTED, live())


def change(body: dict[str, Any], path: str, value: Any) -> None:
    *way, last = path.split("/")
    for part in way:
        body = body[int(part)] if isinstance(body, list) else body[part]
    if value is None:
        del body[last]
    else:
        body[int(last) if isinstance(body, list) else last] = value


CONTAINER = "spec/template/spec/containers/0"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec/replicas", 1),
        ("spec/replicas", False),
        ("metadata/labels", {}),
        ("metadata/labels/a", "c"),
        (f"{CONTAINER}/args", ["serve"]),
        (f"{CONTAINER}/args/1", "--a=c"),
        (f"{CONTAINER}/args", ["serve", "--a=b", "--more"]),
        (f"{CONTAINER}/env", [{"name": "A"}]),
        (f"{CONTAINER}/env/0/value", "2"),
        (f"{CONTAINER}/resources/limits/cpu", "501m"),
        (f"{CONTAINER}/resources/limits/memory", "1G"),
        (f"{CONTAINER}/volumeMounts/0/readOnly", True),
        ("spec/template/spec/automountServiceAccountToken", True),
        ("spec/template/spec/containers", []),
    ],
)
def test_c07_drift_is_seen(path: str, value: Any) -> None:
    body = live()
    change(body, path, value)
    assert must_apply(WANTED, body)


def test_c07_a_zero_value_that_somebody_removed_is_drift() -> None:
    body = live()
    pod, owned = body["spec"]["template"]["spec"], body["metadata"]["managedFields"][0]["fieldsV1"]
    del pod["automountServiceAccountToken"]
    del owned["f:spec"]["f:template"]["f:spec"]["f:automountServiceAccountToken"]
    assert must_apply(WANTED, body)


@pytest.mark.parametrize("path", ["f:spec/f:paused", "f:metadata/f:annotations"])
def test_c07_a_field_that_we_gave_up_must_be_written_away(path: str) -> None:
    body = live()
    owned = body["metadata"]["managedFields"][0]["fieldsV1"]
    parent, field = path.split("/")
    owned[parent][field] = {}
    assert must_apply(WANTED, body)


def test_c07_an_item_that_we_gave_up_must_be_written_away() -> None:
    body = live()
    fields = body["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:template"]["f:spec"]
    fields["f:containers"]['k:{"name":"old"}'] = {".": {}, "f:name": {}}
    assert must_apply(WANTED, body)


def test_c08_what_others_own_is_theirs() -> None:
    body = live()
    body["spec"]["paused"] = True
    body["metadata"]["annotations"] = {"theirs": "yes"}
    assert not must_apply(WANTED, body)


def test_c08_ports_are_the_same_with_their_default_protocol() -> None:
    wanted = {"metadata": {}, "spec": {"ports": [{"port": 80, "name": "http"}]}}
    owned = {"f:spec": {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}}}}}
    body = {
        "metadata": {"managedFields": [{"manager": "kiln", "fieldsV1": owned}]},
        "spec": {"ports": [{"port": 80, "name": "http", "protocol": "TCP"}]},
    }
    assert not must_apply(wanted, body)


@pytest.mark.parametrize(
    ("there", "wanted", "same"),
    [
        ("500m", "0.5", True),
        ("1Gi", "1024Mi", True),
        ("1", 1, True),
        (1, "1", True),
        ("1k", "1000", True),
        ("1Gi", "1G", False),
        ("True", True, False),
        (1, True, False),
        ("serve", "server", False),
        ("10m", "10", False),
    ],
)
def test_c08_quantities_are_compared_by_their_amount(there: Any, wanted: Any, same: bool) -> None:
    assert says(there, wanted) is same
