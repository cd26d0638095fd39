"""Pods of roles do not warm up by themselves, whatever the spec says, and everybody says so."""

from typing import Any

import httpx

from model.contract.flags import HTTP_PORT
from tests.cluster.support.services import SERVER, Services
from tests.cluster.support.started import SMALL, START_SECONDS
from tests.integration.support.server import wait_until

NAME = "staged"
WORKERS = ("encoder", "denoiser", "decoder")
OFF = {"mode": "Off", "reason": "DisaggregatedRole"}


def test_c02_pods_of_roles_are_told_not_to_warm_up_and_the_status_says_so(
    services: Services,
) -> None:
    roles = {role: {"resources": SMALL} for role in WORKERS}
    services.apply(NAME, roles=roles, warmup={"mode": "Server"}, resources=SMALL)
    told = {role: arguments(services, role) for role in (*WORKERS, "router")}
    assert {role: told[role]["--warmup-mode"] for role in told} == {
        **dict.fromkeys(WORKERS, "off"),
        "router": "server",
    }
    assert {role: told[role]["--role"] for role in told} == {role: role for role in told}
    status = wait_until(lambda: services.status(NAME).get("roles"), "the status has roles", 60)
    said: dict[str, Any] = {each["name"]: each["warmup"] for each in status}
    assert said == {**dict.fromkeys(WORKERS, OFF), "router": {"mode": "Server"}}
    for role in WORKERS:
        report = ready_metadata(services, role)["warmup"]
        assert (report["mode"], report["reason"]) == ("off", "disaggregated-role")


def ready_metadata(services: Services, role: str) -> dict[str, Any]:
    """What the one pod of a role says of its model, once it is Ready: it has loaded its part."""
    (pod,) = services.pods(NAME, role)
    services.kubectl.run(
        "wait", "--for=condition=Ready", f"pod/{pod}", f"--timeout={START_SECONDS:g}s",
        seconds=START_SECONDS + 10,
    )  # fmt: skip
    address = services.kubectl.get("pod", pod)["status"]["podIP"]
    with httpx.Client(base_url=f"http://{address}:{HTTP_PORT}", trust_env=False) as client:
        (model,) = client.get("/v2/models").raise_for_status().json()["models"]
        found: dict[str, Any] = client.get(f"/v2/models/{model}").raise_for_status().json()
    return found


def arguments(services: Services, role: str) -> dict[str, str]:
    """Flags of the one pod of a role, which a node runs."""
    (pod,) = services.pods(NAME, role)
    (server,) = [
        each
        for each in services.kubectl.get("pod", pod)["spec"]["containers"]
        if each["name"] == SERVER
    ]
    flags = [each.partition("=") for each in server["args"] if each.startswith("--")]
    return {name: value for name, _, value in flags}
