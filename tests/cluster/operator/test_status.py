"""The status tells the truth at each moment (C05, C14). Nobody runs the pods here: the test writes
their states, as a kubelet would."""

from typing import Any

import pytest

from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.operator import OperatorProcess
from tests.cluster.support.services import (
    Services,
    container,
    ended,
    kstatus,
    running,
    waiting,
)
from tests.integration.support.server import wait_until

ROLES: dict[str, Any] = {"encoder": {}, "denoiser": {}, "decoder": {}}
UNSCHEDULABLE = {
    "conditions": [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
        }
    ]
}
DOWNLOADING = {
    "phase": "Pending",
    "conditions": [{"type": "PodScheduled", "status": "True"}],
    "initContainerStatuses": [
        {
            **container(0),
            "name": "fetch-model",
            "ready": False,
            "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
        }
    ],
}
NOT_DOWNLOADED = {
    "phase": "Pending",
    "conditions": [{"type": "PodScheduled", "status": "True"}],
    "initContainerStatuses": [
        {
            **container(1),
            "name": "fetch-model",
            "ready": False,
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
            "lastState": {"terminated": ended(1, "hf://acme/flux: 401 Unauthorized")},
        }
    ],
}
STATES: list[tuple[str, dict[str, Any], str, str]] = [
    ("Unschedulable", UNSCHEDULABLE, "Insufficient nvidia.com/gpu", "InProgress"),
    ("Pulling", waiting("ContainerCreating"), "are being created", "InProgress"),
    ("Downloading", DOWNLOADING, "fetch-model runs", "InProgress"),
    ("Loading", running(ready=False), "its server has started", "InProgress"),
    (
        "Restarting",
        waiting("ContainerCreating", restarts=1, last=ended(6, "the engine died")),
        "the engine died",
        "InProgress",
    ),
    (
        "ImagePullFailed",
        waiting("ImagePullBackOff", 'Back-off pulling image "kiln-model:1": not found'),
        "Back-off pulling image",
        "Failed",
    ),
    (
        "ConfigMissing",
        waiting("CreateContainerConfigError", 'secret "bucket" not found'),
        'secret "bucket" not found',
        "Failed",
    ),
    ("DownloadFailed", NOT_DOWNLOADED, "401 Unauthorized", "Failed"),
    (
        "WarmupFailed",
        waiting("CrashLoopBackOff", restarts=3, last=ended(5, "warmup of 9x9 failed: too small")),
        "warmup of 9x9 failed: too small",
        "Failed",
    ),
    (
        "ModelNotLoadable",
        waiting("CrashLoopBackOff", restarts=3, last=ended(4, "no model_index.json in it")),
        "no model_index.json in it",
        "Failed",
    ),
    (
        "OutOfMemory",
        waiting("CrashLoopBackOff", restarts=3, last=ended(137, reason="OOMKilled")),
        "OOMKilled",
        "Failed",
    ),
    (
        "Crashed",
        waiting("CrashLoopBackOff", restarts=3, last=ended(139, "Segmentation fault")),
        "Segmentation fault",
        "Failed",
    ),
]


@pytest.mark.parametrize(
    ("reason", "played", "says", "kinds"), STATES, ids=[each[0] for each in STATES]
)
def test_c05_c14_a_pod_that_is_not_ready_is_told_with_its_reason(
    services: Services,
    operator: OperatorProcess,
    reason: str,
    played: dict[str, Any],
    says: str,
    kinds: str,
) -> None:
    services.apply("fox", model={"uri": "hf://acme/flux"})
    (pod,) = services.pods("fox")
    services.play(pod, **played)
    body = services.until("fox", reason)
    ready = services.condition("fox", "Ready")
    assert ready["status"] == "False"
    assert says in ready["message"]
    assert pod in ready["message"]
    assert kstatus(body) == kinds
    assert body["status"]["ready"] == "0/1"
    services.ready(pod)
    assert kstatus(services.until("fox", "Ready")) == "Current"


def test_c05_ready_means_that_every_pod_of_this_spec_is(
    kubectl: Kubectl, services: Services, operator: OperatorProcess
) -> None:
    services.apply("fox", replicas=2)
    first, second = services.pods("fox", count=2)
    services.ready(first)
    wait_until(lambda: services.status("fox").get("readyReplicas") == 1, "one is Ready")
    assert services.condition("fox", "Ready")["status"] == "False"
    assert services.condition("fox", "Available")["status"] == "True"
    services.ready(second)
    body = services.until("fox", "Ready")
    assert body["status"]["ready"] == "2/2"
    assert body["status"]["phase"] == "Ready"
    assert body["status"]["url"] == f"http://fox.{kubectl.namespace}.svc"
    for kind in ("Ready", "Available", "ModelLoaded", "WarmedUp"):
        assert services.condition("fox", kind)["status"] == "True"
    for kind in ("Reconciling", "Stalled"):
        assert services.condition("fox", kind)["status"] == "False"


def test_c05_kubectl_wait_works_unaided(
    kubectl: Kubectl, services: Services, operator: OperatorProcess
) -> None:
    services.apply("fox")
    assert "timed out" in kubectl.refused(
        "wait", "--for=condition=Ready", "dsvc/fox", "--timeout=1s"
    )
    services.make_ready("fox")
    kubectl.run("wait", "--for=condition=Ready", "dsvc/fox", "--timeout=30s")
    # Of another spec, nothing is Ready yet, however well the old pods serve.
    services.apply("fox", warmup={"steps": 4})
    assert "timed out" in kubectl.refused(
        "wait", "--for=condition=Ready", "dsvc/fox", "--timeout=1s"
    )


def test_c05_c16_old_pods_serve_until_the_new_ones_are_ready(
    services: Services, operator: OperatorProcess
) -> None:
    services.apply("fox")
    services.make_ready("fox")
    services.until("fox", "Ready")
    services.apply("fox", warmup={"steps": 4})
    body = services.until("fox", "Pulling")
    assert kstatus(body) == "InProgress"
    assert services.condition("fox", "Ready")["status"] == "False"
    assert services.condition("fox", "Available")["status"] == "True"
    services.make_ready("fox", count=2)
    services.until("fox", "Ready")
    assert len(services.pods("fox")) == 1


@pytest.mark.usefixtures("kserve")
def test_c05_kserves_own_word_does_not_count(
    kubectl: Kubectl, services: Services, operator: OperatorProcess
) -> None:
    services.apply("fox", backend="KServe")
    services.make_ready("fox")
    services.until("fox", "Ready")
    services.apply("fox", backend="KServe", warmup={"steps": 4})
    services.until("fox", "Pulling")
    # KServe goes on saying Ready; its observedGeneration is its Deployment's (kserve#6081).
    theirs = kubectl.get("inferenceservice", "fox")["status"]["conditions"]
    assert {each["type"]: each["status"] for each in theirs}["PredictorReady"] == "True"
    assert services.condition("fox", "Ready")["status"] == "False"
    # KServe may replace the pods more than once on the way.
    wait_until(
        lambda: services.warm("fox") and services.condition("fox", "Ready")["status"] == "True",
        "the new pods are Ready",
    )


def test_c05_a_missing_role_is_named(services: Services, operator: OperatorProcess) -> None:
    services.apply("fox", roles=ROLES)
    for role in ("router", "encoder", "denoiser"):
        services.make_ready("fox", role)
    wait_until(
        lambda: (
            "decoder" in services.condition("fox", "RolesReady").get("message", "")
            and "encoder," not in services.condition("fox", "RolesReady")["message"]
        ),
        "only the decoder is missing",
    )
    assert services.condition("fox", "RolesReady")["status"] == "False"
    assert services.condition("fox", "Available")["status"] == "False"
    services.make_ready("fox", "decoder")
    services.until("fox", "Ready")
    status = services.status("fox")
    assert {each["name"]: each["readyReplicas"] for each in status["roles"]} == {
        "router": 1,
        "encoder": 1,
        "denoiser": 1,
        "decoder": 1,
    }
    assert status["workers"] == "encoder 1/1, denoiser 1/1, decoder 1/1"


def test_c05_times_change_when_a_condition_flips_and_only_then(
    services: Services, operator: OperatorProcess
) -> None:
    services.apply("fox")
    (pod,) = services.pods("fox")
    services.until("fox", "Pulling")
    before = services.condition("fox", "Ready")["lastTransitionTime"]
    services.play(pod, **running(ready=False))
    services.until("fox", "Loading")
    assert services.condition("fox", "Ready")["lastTransitionTime"] == before


def test_c08_one_event_for_each_transition(
    kubectl: Kubectl, services: Services, operator: OperatorProcess
) -> None:
    services.apply("fox")
    (pod,) = services.pods("fox")
    services.play(pod, **running(ready=False))
    services.until("fox", "Loading")
    services.ready(pod)
    services.until("fox", "Ready")

    def told() -> list[str]:
        items = kubectl.get("events.events.k8s.io")["items"]
        ours = [each for each in items if each["regarding"]["kind"] == "DiffusionService"]
        return sorted(each["reason"] for each in ours)

    wait_until(lambda: "Ready" in told(), "the event of Ready")
    assert len(told()) == len(set(told())), "each reason was reached once"


def test_c14_pods_that_the_cluster_refuses_are_told(
    kubectl: Kubectl, services: Services, operator: OperatorProcess
) -> None:
    kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "none", "namespace": kubectl.namespace},
            "spec": {"hard": {"pods": "0"}},
        }
    )
    services.apply("fox")
    body = services.until("fox", "PodsRefused")
    assert "exceeded quota" in services.condition("fox", "Ready")["message"]
    assert kstatus(body) == "Failed"


def test_c14_software_that_the_cluster_lacks_is_named(
    kubectl: Kubectl, services: Services, operator: OperatorProcess
) -> None:
    if kubectl.find("customresourcedefinition", "scaledobjects.keda.sh"):
        pytest.skip("KUBECONFIG names a cluster with KEDA")
    scaling = {"max": 2, "prometheus": {"serverAddress": "http://prometheus:9090"}}
    services.apply("fox", scaling=scaling)
    services.until("fox", "MissingApi")
    assert "ScaledObject (keda.sh/v1alpha1)" in services.condition("fox", "Ready")["message"]
    services.apply("fox")
    services.until("fox", "Pulling")


def test_c06_kubectl_get_shows_what_people_want_to_know(
    kubectl: Kubectl, services: Services, operator: OperatorProcess
) -> None:
    services.apply("fox", roles=ROLES)
    services.until("fox", "Pulling")
    header, row = kubectl.run("get", "dsvc").splitlines()
    assert header.split() == ["NAME", "MODEL", "READY", "REASON", "REPLICAS", "URL", "AGE"]
    assert row.split()[:5] == ["fox", "embedded://", "False", "Pulling", "0/1"]
    wide, row = kubectl.run("get", "diffusionservices", "-o", "wide").splitlines()
    assert {"WARMUP", "ROLES", "MESSAGE"} <= set(wide.split())
    assert "encoder 0/1, denoiser 0/1, decoder 0/1" in row
    assert "diffusionservice.kiln.dev/fox" in kubectl.run("get", "serving", "-o", "name")


def test_c06_kubectl_explain_teaches(kubectl: Kubectl, crd: None) -> None:
    said = " ".join(kubectl.run("explain", "dsvc.spec.warmup").split())
    assert "requests that the server builds for itself run before it says Ready" in said
    said = " ".join(kubectl.run("explain", "dsvc.spec.roles.denoiser.scaling").split())
    assert "How many pods run, by how much work there is" in said or "amount of work" in said
