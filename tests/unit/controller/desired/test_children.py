"""The objects around the pods."""

from dataclasses import replace

import pytest

from controller.desired.network_policy import network_policy
from controller.desired.plan import Target

from ..conftest import Object, PlanOf, RenderOf

ROLES = {"encoder": {}, "denoiser": {"scaling": {"max": 4}}, "decoder": {}}
KEDA = {"min": 0, "max": 4, "prometheus": {"serverAddress": "http://prometheus:9090"}}


def kinds(found: object) -> set[tuple[str, str]]:
    return set(found)  # type: ignore[call-overload,no-any-return]


def test_c04_a_service_without_kserve(render_of: RenderOf) -> None:
    assert kinds(render_of({})) == {
        ("NetworkPolicy", "fox"),
        ("Service", "fox"),
        ("Deployment", "fox"),
        ("PodDisruptionBudget", "fox"),
    }


def test_c04_a_service_on_kserve_is_one_inference_service(render_of: RenderOf) -> None:
    found = render_of({}, Target.KSERVE)
    assert kinds(found) == {
        ("NetworkPolicy", "fox"),
        ("InferenceService", "fox"),
        ("PodDisruptionBudget", "fox"),
    }
    made = found["InferenceService", "fox"]
    assert made["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "Standard"
    assert "model" not in made["spec"]["predictor"], "it would become a multi-model server"


def test_c04_kserve_restarts_no_pod_for_the_sake_of_our_bookkeeping(render_of: RenderOf) -> None:
    annotations = render_of({}, Target.KSERVE)["InferenceService", "fox"]["metadata"]["annotations"]
    assert all(name.startswith("serving.kserve.io/") for name in annotations)


def test_c02_workers_are_deployments_in_both_backends(render_of: RenderOf) -> None:
    for target in Target:
        found = render_of({"roles": ROLES}, target)
        assert ("Deployment", "fox-encoder") in found
        assert found["Service", "fox-encoder"]["spec"]["clusterIP"] == "None"


def test_c07_every_child_names_its_owner(render_of: RenderOf) -> None:
    for target in Target:
        found = render_of({"roles": ROLES, "monitoring": {"podMonitor": True}}, target)
        for each in found.values():
            (owner,) = each["metadata"]["ownerReferences"]
            assert (owner["kind"], owner["name"], owner["uid"]) == ("DiffusionService", "fox", "1")
            assert owner["controller"] is True
            assert "blockOwnerDeletion" not in owner
            assert each["metadata"]["labels"]["kiln.dev/service"] == "fox"


def test_c12_suspended_means_no_pods_and_nobody_to_bring_them_back(render_of: RenderOf) -> None:
    spec = {"suspend": True, "roles": ROLES}
    found = render_of(spec)
    for name in ("fox", "fox-encoder", "fox-denoiser", "fox-decoder"):
        assert found["Deployment", name]["spec"]["replicas"] == 0
    assert not {kind for kind, _ in found} & {"HorizontalPodAutoscaler", "ScaledObject"}
    stopped = render_of({"suspend": True}, Target.KSERVE)["InferenceService", "fox"]
    assert stopped["metadata"]["annotations"]["serving.kserve.io/stop"] == "true"


def test_c12_resumed_is_as_it_was(render_of: RenderOf) -> None:
    for target in Target:
        assert render_of({"suspend": False, "replicas": 2}, target) == render_of(
            {"replicas": 2}, target
        )


@pytest.mark.parametrize(("target", "name"), [("Deployment", "fox"), ("KServe", "fox-predictor")])
def test_c04_an_autoscaler_aims_at_the_deployment_of_its_backend(
    render_of: RenderOf, target: str, name: str
) -> None:
    found = render_of({"scaling": {"max": 3}}, Target(target))
    spec = found["HorizontalPodAutoscaler", "fox"]["spec"]
    assert spec["scaleTargetRef"]["name"] == name
    assert spec["metrics"][0]["pods"]["metric"]["name"] == "kiln_queue_depth"
    if target == "Deployment":
        assert "replicas" not in found["Deployment", "fox"]["spec"]
    else:
        annotations = found["InferenceService", "fox"]["metadata"]["annotations"]
        assert annotations["serving.kserve.io/autoscalerClass"] == "external"


def test_c12_keda_scales_to_zero(render_of: RenderOf) -> None:
    found = render_of({"scaling": KEDA})
    assert ("HorizontalPodAutoscaler", "fox") not in found
    spec = found["ScaledObject", "fox"]["spec"]
    assert spec["minReplicaCount"] == 0
    query = spec["triggers"][0]["metadata"]["query"]
    assert query == 'sum(kiln_queue_depth{namespace="art",pod=~"fox-[a-z0-9]+-[a-z0-9]+"})'


def test_c13_only_the_router_reaches_the_workers(render_of: RenderOf) -> None:
    found = render_of({"roles": ROLES})
    for name in ("fox-encoder", "fox-denoiser", "fox-decoder"):
        (rule,) = found["NetworkPolicy", name]["spec"]["ingress"]
        router = {"kiln.dev/service": "fox", "kiln.dev/part": "front"}
        assert rule["from"] == [{"podSelector": {"matchLabels": router}}]
    (rule,) = found["NetworkPolicy", "fox"]["spec"]["ingress"]
    assert "from" not in rule
    assert [each["port"] for each in rule["ports"]] == [8080, 8081]


def test_c13_who_scrapes_is_let_in_where_others_are_kept_out(plan_of: PlanOf) -> None:
    monitors = [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}]
    users = [{"podSelector": {"matchLabels": {"app": "web"}}}]
    scraping = [{"ports": [{"port": 8080, "protocol": "TCP"}], "from": monitors}]
    for closed in ({}, {"from": users}):
        spec = {"roles": ROLES, "monitoring": {"from": monitors}, "networkPolicy": closed}
        plan = plan_of(spec)
        front, *workers = (network_policy(plan, each)["spec"]["ingress"] for each in plan.parts)
        assert [each[1:] for each in workers] == [scraping] * 3
        assert front[1:] == (scraping if closed else [])


def test_c02_the_number_of_a_roles_pods_may_be_somebody_elses(render_of: RenderOf) -> None:
    found = render_of({"roles": {**ROLES, "denoiser": {"replicas": 4}}})
    numbers = {name: each["spec"].get("replicas") for (kind, name), each in found.items()
               if kind == "Deployment"}  # fmt: skip
    assert numbers == {"fox": 1, "fox-encoder": None, "fox-denoiser": 4, "fox-decoder": None}
    paused = render_of({"roles": ROLES, "suspend": True})
    assert paused["Deployment", "fox-encoder"]["spec"]["replicas"] == 0


def test_c13_disruption_budgets_never_block_a_drain(render_of: RenderOf) -> None:
    budget = render_of({})["PodDisruptionBudget", "fox"]["spec"]
    assert budget["maxUnavailable"] == 1
    assert "minAvailable" not in budget


@pytest.mark.parametrize(
    ("rollout", "surge", "unavailable"), [("Surge", 1, 0), ("ResourceAware", 0, 1)]
)
def test_c16_rollouts(render_of: RenderOf, rollout: str, surge: int, unavailable: int) -> None:
    wanted = {"maxSurge": surge, "maxUnavailable": unavailable}
    made = render_of({"rollout": rollout})["Deployment", "fox"]
    assert made["spec"]["strategy"]["rollingUpdate"] == wanted
    made = render_of({"rollout": rollout}, Target.KSERVE)["InferenceService", "fox"]
    assert made["spec"]["predictor"]["deploymentStrategy"]["rollingUpdate"] == wanted


def test_c07_roles_may_come_and_go_without_another_selector(render_of: RenderOf) -> None:
    alone, staged = (
        render_of(spec)["Deployment", "fox"]["spec"]["selector"] for spec in ({}, {"roles": ROLES})
    )
    assert alone == staged, "a Deployment's selector cannot be changed"


def test_c13_the_operator_may_ask_the_front_where_others_are_kept_out(plan_of: PlanOf) -> None:
    closed = {"networkPolicy": {"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}}
    roles: Object = {"encoder": {}, "denoiser": {}, "decoder": {}}
    plan = replace(plan_of({**closed, "roles": roles}), operator_namespace="kiln-system")
    front, *workers = (network_policy(plan, each)["spec"]["ingress"] for each in plan.parts)
    assert front[1:] == [
        {
            "ports": [{"port": 8080, "protocol": "TCP"}],
            "from": [
                {
                    "namespaceSelector": {
                        "matchLabels": {"kubernetes.io/metadata.name": "kiln-system"}
                    },
                    "podSelector": {"matchLabels": {"app.kubernetes.io/component": "operator"}},
                }
            ],
        }
    ]
    assert [len(each) for each in workers] == [1, 1, 1], "the router alone reaches workers"
    outside = replace(plan, operator_namespace=None)
    assert len(network_policy(outside, outside.front)["spec"]["ingress"]) == 1
    everyone = replace(plan_of({}), operator_namespace="kiln-system")
    assert len(network_policy(everyone, everyone.front)["spec"]["ingress"]) == 1
