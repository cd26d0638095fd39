"""What a pod's status says. tests/cluster plays the same on a real API server (C14)."""

from typing import Any

import pytest

from controller.api.names import SPEC_HASH_ANNOTATION
from controller.pods import read_pod

STARTED_AT = "2026-01-01T00:01:00Z"
RUNNING = {"state": {"running": {"startedAt": STARTED_AT}}, "started": True}
LAST = {"exitCode": 6, "reason": "Error", "message": "the engine died"}


def pod(container: dict[str, Any], **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "fox-1", "annotations": {SPEC_HASH_ANNOTATION: "new"}},
        "status": {
            "conditions": [{"type": "Ready", "status": "False"}],
            "containerStatuses": [{"name": "kserve-container", **container}],
            **status,
        },
    }


@pytest.mark.parametrize(
    ("container", "reason"),
    [
        ({"state": {"running": {}}}, "Loading"),
        # Its startup probe has passed, and its first readiness probe is still to come.
        (RUNNING, "Loading"),
        ({**RUNNING, "restartCount": 5, "lastState": {"terminated": LAST}}, "Loading"),
        (
            {
                "state": {"running": {}},
                "restartCount": 1,
                "lastState": {"terminated": LAST},
            },
            "Restarting",
        ),
        (
            {
                "state": {"running": {}},
                "restartCount": 2,
                "lastState": {"terminated": LAST},
            },
            "EngineDied",
        ),
        ({"state": {"terminated": LAST}, "restartCount": 2}, "EngineDied"),
        ({"state": {"waiting": {"reason": "InvalidImageName"}}}, "ImagePullFailed"),
        ({"state": {"waiting": {"reason": "PodInitializing"}}}, "Pulling"),
    ],
)
def test_c05_the_state_of_the_server(container: dict[str, Any], reason: str) -> None:
    found = read_pod(pod(container), "new").finding
    assert found is not None
    assert found.reason == reason
    assert found.message.startswith("fox-1: ")


@pytest.mark.parametrize(
    ("code", "reason"),
    [(2, "InvalidSettings"), (4, "ModelNotLoadable"), (5, "Restarting"), (6, "Restarting")],
)
def test_c14_what_no_luck_mends_is_said_at_the_first_end(code: int, reason: str) -> None:
    ended = {"terminated": {**LAST, "exitCode": code}}
    again = {"state": {"running": {}}, "lastState": ended, "restartCount": 1}
    for container in ({"state": ended, "restartCount": 0}, again):
        found = read_pod(pod(container), "new").finding
        assert found is not None
        assert found.reason == reason


@pytest.mark.parametrize(
    ("since", "reason"),
    [
        # As long as there is the pod, or since its last run ended.
        ("2026-01-01T00:00:00Z", "Loading"),
        (STARTED_AT, "Loading"),
        ("2026-01-01T00:02:00Z", "NotServing"),
    ],
)
@pytest.mark.parametrize("restarts", [0, 5])
def test_c05_a_server_is_called_lost_only_when_this_run_of_it_was_ready(
    since: str, reason: str, restarts: int
) -> None:
    container = {**RUNNING, "restartCount": restarts, "lastState": {"terminated": LAST}}
    unready = {"type": "Ready", "status": "False", "lastTransitionTime": since}
    found = read_pod(pod(container, conditions=[unready]), "new").finding
    assert found is not None
    assert found.reason == reason


@pytest.mark.parametrize(
    ("code", "reason"),
    [(2, "InvalidSettings"), (4, "ModelNotLoadable"), (5, "WarmupFailed"), (8, "StartupTimeout"),
     (7, "EngineStuck"), (1, "Crashed"), (0, "Crashed")],
)  # fmt: skip
def test_c14_exit_statuses_become_reasons(code: int, reason: str) -> None:
    state = {"terminated": {"exitCode": code, "message": "why"}}
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    found = read_pod(pod({"state": waiting, "lastState": state, "restartCount": 1}), "new").finding
    assert found is not None
    assert found.reason == reason
    assert "why" in found.message


def test_c05_a_side_container_is_not_the_server() -> None:
    body = pod({"state": {"running": {}}})
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    side = {"name": "proxy", "state": waiting, "lastState": {"terminated": LAST}}
    body["status"]["containerStatuses"].insert(0, side)
    found = read_pod(body, "new").finding
    assert found is not None
    assert found.reason == "Loading"


def test_c05_only_pods_of_this_spec_are_current() -> None:
    body = pod({"state": {"running": {}}}, podIP="10.0.0.1")
    assert read_pod(body, "new").current
    assert not read_pod(body, "newer").current
    assert read_pod(body, "new").address == "10.0.0.1"


@pytest.mark.parametrize(
    ("container", "asked"),
    [
        ({"state": {"running": {}}}, True),
        ({"state": {"running": {}}, "started": True}, True),
        ({"state": {"waiting": {"reason": "PodInitializing"}}}, False),
        ({"state": {"terminated": LAST}, "restartCount": 2}, False),
    ],
)
def test_c05_only_a_server_that_runs_is_asked(container: dict[str, Any], asked: bool) -> None:
    found = read_pod(pod(container, podIP="10.0.0.1"), "new")
    assert (found.address == "10.0.0.1") is asked


def test_c05_a_ready_server_is_asked_and_a_restart_is_another_run() -> None:
    ready = {"conditions": [{"type": "Ready", "status": "True"}], "podIP": "10.0.0.1"}
    first = read_pod(pod({"state": {"running": {}}}, **ready), "new")
    again = read_pod(pod({"state": {"running": {}}, "restartCount": 1}, **ready), "new")
    assert first.address == again.address == "10.0.0.1"
    assert first.run != again.run


def test_c14_a_pod_that_was_evicted_says_so() -> None:
    body = pod({"state": {}}, phase="Failed", message="The node was low on resource: memory.")
    found = read_pod(body, "new").finding
    assert found is not None
    assert (found.reason, "low on resource" in found.message) == ("Crashed", True)
