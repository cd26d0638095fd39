"""What a DiffusionService becomes in a real cluster, and stays (C04, C07, C08, C09, C12)."""

import json
from typing import Any

import pytest

from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.operator import OperatorProcess
from tests.cluster.support.services import Services
from tests.integration.support.server import wait_until

from .conftest import Start

ROLES: dict[str, Any] = {"encoder": {}, "denoiser": {}, "decoder": {}}
KINDS = "deployments,services,networkpolicies,poddisruptionbudgets,horizontalpodautoscalers"
# A field of each kind, by its path, and what somebody else would write into it.
DRIFT = [
    ("deployment", "/spec/replicas", 5),
    ("deployment", "/spec/progressDeadlineSeconds", 77),
    ("deployment", "/spec/strategy/rollingUpdate/maxSurge", 3),
    ("deployment", "/spec/template/spec/terminationGracePeriodSeconds", 1),
    ("deployment", "/spec/template/spec/containers/0/args/0", "sleep"),
    ("deployment", "/spec/template/spec/containers/0/image", "other:1"),
    ("deployment", "/spec/template/spec/containers/0/env/0/value", "other"),
    ("deployment", "/spec/template/spec/containers/0/resources/limits/memory", "9Gi"),
    ("deployment", "/spec/template/spec/containers/0/readinessProbe/httpGet/path", "/"),
    ("deployment", "/spec/template/spec/containers/0/startupProbe/failureThreshold", 1),
    ("deployment", "/spec/template/spec/securityContext/runAsNonRoot", False),
    ("deployment", "/metadata/labels/kiln.dev~1part", "other"),
    ("service", "/spec/ports/0/targetPort", 9999),
    ("service", "/spec/selector/kiln.dev~1part", "other"),
    ("networkpolicy", "/spec/ingress/0/ports/0/port", 22),
    ("networkpolicy", "/spec/podSelector/matchLabels/kiln.dev~1part", "other"),
    ("poddisruptionbudget", "/spec/maxUnavailable", 0),
]


def value_at(body: Any, path: str) -> Any:
    for part in path.strip("/").split("/"):
        body = body[int(part)] if isinstance(body, list) else body[part.replace("~1", "/")]
    return body


def settled(operator: OperatorProcess) -> float:
    """The operator's count of writes, once it has stopped growing over two comparisons."""

    def quiet() -> float | None:
        before, rounds = operator.writes(), operator.reconciles()
        wait_until(lambda: operator.reconciles() >= rounds + 2, "two reconciles", 60)
        return before + 1 if operator.writes() == before else None

    return wait_until(quiet, "the operator writes nothing any more", 60) - 1


def test_c04_a_service_becomes_a_deployment_and_what_is_around_it(
    kubectl: Kubectl, services: Services, operator: OperatorProcess
) -> None:
    services.apply("fox", warmup={"steps": 4})
    made = kubectl.appearing("deployment", "fox")
    (container,) = made["spec"]["template"]["spec"]["containers"]
    assert "--warmup-mode=server" in container["args"]
    assert "--warmup-steps=4" in container["args"]
    assert container["startupProbe"]["httpGet"]["path"] == "/v2/health/ready"
    for kind in ("service", "networkpolicy", "poddisruptionbudget"):
        (owner,) = kubectl.appearing(kind, "fox")["metadata"]["ownerReferences"]
        assert owner["uid"] == services.get("fox")["metadata"]["uid"]


@pytest.mark.usefixtures("kserve")
def test_c04_kserve_keeps_our_probes_flags_and_resources(
    kubectl: Kubectl, services: Services, operator: OperatorProcess
) -> None:
    services.apply("fox", backend="KServe", warmup={"timeout": "2h"})
    made = kubectl.appearing("deployment", "fox-predictor")
    asked = kubectl.get("inferenceservice", "fox")["spec"]["predictor"]["containers"][0]
    (container,) = made["spec"]["template"]["spec"]["containers"]
    assert container["args"] == asked["args"]
    assert "--startup-timeout=7200" in container["args"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe] == asked[probe]
        assert "tcpSocket" not in container[probe]
    assert container["resources"] == asked["resources"]
    assert made["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


@pytest.mark.usefixtures("kserve")
def test_c04_auto_takes_kserve_where_it_is_and_stays_with_it(
    kubectl: Kubectl, services: Services, operator: OperatorProcess
) -> None:
    services.apply("fox", backend="Auto")
    kubectl.appearing("inferenceservice", "fox")
    assert services.until("fox", "Pulling")["status"]["backend"] == "KServe"


def test_c02_roles_come_up_behind_a_router(
    kubectl: Kubectl, services: Services, operator: OperatorProcess
) -> None:
    services.apply("fox", roles=ROLES, warmup={"mode": "Server"})
    for name, mode in (("fox", "server"), ("fox-encoder", "off"), ("fox-decoder", "off")):
        (container,) = kubectl.appearing("deployment", name)["spec"]["template"]["spec"][
            "containers"
        ]
        assert f"--warmup-mode={mode}" in container["args"]
    services.until("fox", "Pulling")
    told = {each["name"]: each["warmup"] for each in services.status("fox")["roles"]}
    assert told["router"] == {"mode": "Server"}
    assert told["denoiser"] == {"mode": "Off", "reason": "DisaggregatedRole"}


@pytest.mark.parametrize(("kind", "path", "value"), DRIFT, ids=[f"{k}{p}" for k, p, _ in DRIFT])
def test_c07_drift_of_every_kind_is_repaired(
    kubectl: Kubectl,
    services: Services,
    operator: OperatorProcess,
    kind: str,
    path: str,
    value: Any,
) -> None:
    services.apply("fox")
    services.until("fox", "Pulling")
    before = value_at(kubectl.get(kind, "fox"), path)
    assert before != value
    patch = json.dumps([{"op": "replace", "path": path, "value": value}])
    kubectl.run("patch", kind, "fox", "--type=json", "-p", patch)
    wait_until(
        lambda: value_at(kubectl.get(kind, "fox"), path) == before, f"{path} is repaired", 30
    )


@pytest.mark.usefixtures("kserve")
def test_c07_drift_of_an_inference_service_is_repaired(
    kubectl: Kubectl, services: Services, operator: OperatorProcess
) -> None:
    services.apply("fox", backend="KServe")
    kubectl.appearing("deployment", "fox-predictor")
    path = "/spec/predictor/containers/0/args/0"
    patch = json.dumps([{"op": "replace", "path": path, "value": "sleep"}])
    kubectl.run("patch", "inferenceservice", "fox", "--type=json", "-p", patch)
    wait_until(
        lambda: value_at(kubectl.get("inferenceservice", "fox"), path) == "serve", "repaired", 30
    )


@pytest.mark.parametrize("kind", ["deployment", "service", "networkpolicy", "poddisruptionbudget"])
def test_c07_a_deleted_child_is_made_anew(
    kubectl: Kubectl, services: Services, operator: OperatorProcess, kind: str
) -> None:
    services.apply("fox")
    before = kubectl.appearing(kind, "fox")["metadata"]["uid"]
    kubectl.run("delete", kind, "fox")
    wait_until(
        lambda: (found := kubectl.find(kind, "fox")) and found["metadata"]["uid"] != before,
        "a new one",
        30,
    )


def test_c07_children_that_are_no_longer_wanted_are_pruned(
    kubectl: Kubectl, services: Services, operator: OperatorProcess
) -> None:
    services.apply("fox", roles=ROLES, scaling={"max": 3})
    kubectl.appearing("deployment", "fox-decoder")
    kubectl.appearing("horizontalpodautoscaler", "fox")
    services.apply("fox", networkPolicy={"enabled": False})
    # A router of before keeps its workers until then.
    services.make_ready("fox")
    for role in ROLES:
        kubectl.vanishing("deployment", f"fox-{role}")
        kubectl.vanishing("service", f"fox-{role}")
    kubectl.vanishing("horizontalpodautoscaler", "fox")
    kubectl.vanishing("networkpolicy", "fox")
    assert kubectl.find("deployment", "fox")


@pytest.mark.usefixtures("kserve")
def test_c07_another_backend_takes_the_old_ones_children_away(
    kubectl: Kubectl, services: Services, operator: OperatorProcess
) -> None:
    services.apply("fox", backend="KServe")
    kubectl.appearing("inferenceservice", "fox")
    services.apply("fox", backend="Deployment")
    kubectl.vanishing("inferenceservice", "fox")
    kubectl.appearing("deployment", "fox")


def test_c07_deleting_a_service_leaves_nothing(
    kubectl: Kubectl, services: Services, operator: OperatorProcess
) -> None:
    services.apply("fox", roles=ROLES, scaling={"max": 3})
    kubectl.appearing("deployment", "fox-decoder")
    kubectl.appearing("horizontalpodautoscaler", "fox")
    kubectl.run("delete", "diffusionservice", "fox", "--wait=true")
    wait_until(
        lambda: not kubectl.get(KINDS, "--selector", "kiln.dev/service=fox")["items"],
        "nothing is left",
        60,
    )


def test_c07_a_foreign_object_is_never_taken_over(
    kubectl: Kubectl, services: Services, operator: OperatorProcess
) -> None:
    ports = {"ports": [{"port": 1234}]}
    metadata = {"name": "fox", "namespace": kubectl.namespace}
    kubectl.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": ports})
    services.apply("fox")
    services.until("fox", "Conflict")
    assert services.condition("fox", "Stalled")["status"] == "True"
    assert (
        "Service fox exists and belongs to nobody" in services.condition("fox", "Ready")["message"]
    )
    assert value_at(kubectl.get("service", "fox"), "/spec/ports/0/port") == 1234
    kubectl.run("delete", "service", "fox")
    services.until("fox", "Pulling")


def test_c07_nothing_is_left_on_the_users_object(
    kubectl: Kubectl, services: Services, operator: OperatorProcess
) -> None:
    services.apply("fox")
    metadata = services.until("fox", "Pulling")["metadata"]
    assert "finalizers" not in metadata
    assert "annotations" not in metadata


def test_c08_a_reconcile_that_changes_nothing_writes_nothing(
    kubectl: Kubectl, services: Services, start: Start
) -> None:
    first = start("--resync", "1")
    services.apply("fox", roles=ROLES, scaling={"max": 3}, resources={"limits": {"cpu": "1.5"}})
    services.apply("hen", template={"env": [{"name": "A", "value": ""}]}, suspend=True)
    services.until("fox", "Pulling")
    services.until("hen", "Suspended")
    settled(first)
    first.close()

    def versions() -> dict[str, str]:
        items = kubectl.get(KINDS + ",diffusionservices")["items"]
        return {
            f"{each['kind']}/{each['metadata']['name']}": each["metadata"]["resourceVersion"]
            for each in items
        }

    before = versions()
    again = start("--resync", "1")
    rounds = again.reconciles()
    wait_until(lambda: again.reconciles() >= rounds + 6, "three rounds", 60)
    assert again.writes() == 0
    assert versions() == before


def test_c09_another_operator_restarts_nothing_until_the_spec_changes(
    kubectl: Kubectl, services: Services, start: Start
) -> None:
    first = start()
    services.apply("fox")
    services.until("fox", "Pulling")
    first.close()
    start("--image", "kiln-model:2", "--resync", "1")

    def image() -> str:
        spec = kubectl.get("deployment", "fox")["spec"]["template"]["spec"]
        found: str = spec["containers"][0]["image"]
        return found

    kubectl.run("scale", "diffusionservice", "fox", "--replicas=2")
    wait_until(lambda: kubectl.get("deployment", "fox")["spec"]["replicas"] == 2, "scaled", 30)
    assert image() == "kiln-model:1", "to scale is no reason to restart"
    services.apply("fox", warmup={"steps": 3})
    wait_until(lambda: image() == "kiln-model:2", "the new spec has the new default", 30)


def test_c06_kubectl_scale_works(
    kubectl: Kubectl, services: Services, operator: OperatorProcess
) -> None:
    services.apply("fox")
    services.until("fox", "Pulling")
    kubectl.run("scale", "dsvc", "fox", "--replicas=3")
    wait_until(lambda: kubectl.get("deployment", "fox")["spec"]["replicas"] == 3, "scaled", 30)
    wait_until(lambda: services.status("fox")["replicas"] == 3, "told", 30)
    scale = json.loads(
        kubectl.run(
            "get",
            "--raw",
            f"/apis/kiln.dev/v1alpha1/namespaces/{kubectl.namespace}/diffusionservices/fox/scale",
        )
    )
    assert scale["status"]["selector"] == "kiln.dev/service=fox,kiln.dev/part=front"


def test_c12_suspended_and_resumed(
    kubectl: Kubectl, services: Services, operator: OperatorProcess
) -> None:
    services.apply("fox", replicas=2)
    services.pods("fox", count=2)
    services.apply("fox", replicas=2, suspend=True)
    services.pods("fox", count=0)
    assert services.until("fox", "Suspended")["status"]["ready"] == "0/0"
    services.apply("fox", replicas=2)
    services.pods("fox", count=2)


@pytest.mark.usefixtures("kserve")
def test_c12_suspended_and_resumed_on_kserve(
    kubectl: Kubectl, services: Services, operator: OperatorProcess
) -> None:
    services.apply("fox", backend="KServe")
    kubectl.appearing("deployment", "fox-predictor")
    services.apply("fox", backend="KServe", suspend=True)
    kubectl.vanishing("deployment", "fox-predictor")
    services.until("fox", "Suspended")
    services.apply("fox", backend="KServe")
    kubectl.appearing("deployment", "fox-predictor")
