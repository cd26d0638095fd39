"""Services of roles on a real API server, with pods that the tests play (C02, C13, C16)."""

from typing import Any

from tests.cluster.support.kubectl import Kubectl, Object
from tests.cluster.support.operator import OperatorProcess
from tests.cluster.support.services import Services
from tests.integration.support.server import wait_until

WORKERS = ("encoder", "denoiser", "decoder")
ROLES: dict[str, Any] = {role: {} for role in WORKERS}
BEFORE, AFTER = "registry.example/kiln:1", "registry.example/kiln:2"
SECONDS = 60


def image(kubectl: Kubectl, name: str) -> str:
    """Of the pods that a Deployment makes."""
    spec: Object = kubectl.get("deployment", name)["spec"]["template"]["spec"]
    return str(spec["containers"][0]["image"])


def all_ready(services: Services, name: str) -> None:
    """Whatever pods there are and come, until the service is Ready."""

    def ready() -> bool:
        services.warm(name)
        return services.condition(name, "Ready").get("reason") == "Ready"

    wait_until(ready, f"{name} is Ready", SECONDS)


def test_c16_workers_roll_before_their_router(
    kubectl: Kubectl, services: Services, operator: OperatorProcess
) -> None:
    services.apply("fox", roles=ROLES, runtime={"image": BEFORE})
    all_ready(services, "fox")

    services.apply("fox", roles=ROLES, runtime={"image": AFTER})
    for role in WORKERS:
        wait_until(lambda each=role: image(kubectl, f"fox-{each}") == AFTER, f"{role} rolls")  # type: ignore[misc]
    # Its turn comes with the last of them.
    for role in WORKERS[:-1]:
        wait_until(lambda each=role: rolled(services, each), f"{role} has rolled", SECONDS)  # type: ignore[misc]
    status = services.status("fox")
    assert services.condition("fox", "Ready")["status"] == "False"
    assert services.condition("fox", "Available")["status"] == "True"
    assert {each["name"]: each["readyReplicas"] for each in status["roles"]}["decoder"] == 0
    assert image(kubectl, "fox") == BEFORE

    all_ready(services, "fox")
    assert image(kubectl, "fox") == AFTER


def rolled(services: Services, role: str) -> bool:
    """Make the pods of one role Ready; whether all of them are of the newest spec."""
    services.warm("fox", role)
    selector = f"kiln.dev/service=fox,kiln.dev/role={role}"
    pods = services.kubectl.get("pods", "--selector", selector)["items"]
    return [each["spec"]["containers"][0]["image"] for each in pods] == [AFTER]


def test_c02_whoever_scales_a_role_is_left_alone(
    kubectl: Kubectl, services: Services, operator: OperatorProcess
) -> None:
    roles = {**ROLES, "decoder": {"replicas": 2}}
    services.apply("fox", roles=roles)
    all_ready(services, "fox")
    kubectl.run("scale", "deployment", "fox-denoiser", "--replicas=3")
    all_ready(services, "fox")
    assert services.status("fox")["workers"] == "encoder 1/1, denoiser 3/3, decoder 2/2"
    # A change of the spec brings a write of each Deployment.
    services.apply("fox", roles=roles, requests={"maxQueue": 8})
    all_ready(services, "fox")
    assert kubectl.get("deployment", "fox-denoiser")["spec"]["replicas"] == 3
    # What the spec says is the operator's.
    kubectl.run("scale", "deployment", "fox-decoder", "--replicas=5")
    wait_until(
        lambda: kubectl.get("deployment", "fox-decoder")["spec"]["replicas"] == 2, "it is repaired"
    )


def test_c16_workers_go_when_nobody_needs_them(
    kubectl: Kubectl, services: Services, operator: OperatorProcess
) -> None:
    """From roles to one server: the router and its workers serve until that is Ready."""
    services.apply("fox", roles=ROLES)
    all_ready(services, "fox")
    services.apply("fox")
    alone = services.pods("fox", "monolithic")
    services.until("fox", "Pulling")
    for role in WORKERS:
        assert services.pods("fox", role)
    assert services.condition("fox", "Available")["status"] == "True"
    services.ready(*alone)
    for role in WORKERS:
        kubectl.vanishing("deployment", f"fox-{role}")
    services.until("fox", "Ready")
