"""Probes, budgets, resources, hardening and weights of the pods."""

from typing import Any

import pytest

from controller.api.base import seconds
from controller.api.names import SPEC_HASH_ANNOTATION
from controller.api.template import MODEL_FOLDER, RESERVED_FOLDERS, ROLES_FOLDER
from controller.desired.plan import Target

from ..conftest import RenderOf

ROLES = {"encoder": {}, "denoiser": {}, "decoder": {}}


def pod_of(found: dict[tuple[str, str], Any], name: str = "fox") -> dict[str, Any]:
    if ("InferenceService", name) in found:
        pod: dict[str, Any] = found["InferenceService", name]["spec"]["predictor"]
        return pod
    spec: dict[str, Any] = found["Deployment", name]["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("target", Target)
@pytest.mark.parametrize("timeout", ["10s", "20m", "2h"])
def test_c03_probes_are_http_and_outlast_the_servers_own_deadline(
    render_of: RenderOf, target: Target, timeout: str
) -> None:
    (server,) = pod_of(render_of({"warmup": {"timeout": timeout}}, target))["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert server[probe]["httpGet"]["port"] == "http"
        assert "tcpSocket" not in server[probe]
    startup = server["startupProbe"]
    assert startup["httpGet"]["path"] == "/v2/health/ready"
    assert startup["failureThreshold"] * startup["periodSeconds"] > seconds(timeout)
    assert server["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"
    assert server["livenessProbe"]["httpGet"]["path"] == "/v2/health/live"


def test_c03_workers_have_the_same_probes(render_of: RenderOf) -> None:
    found = render_of({"roles": ROLES})
    for name in ("fox", "fox-encoder", "fox-denoiser", "fox-decoder"):
        (server,) = pod_of(found, name)["containers"]
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(server)


def test_c03_deadlines_follow_from_the_budgets(render_of: RenderOf) -> None:
    found = render_of({"warmup": {"timeout": "1h"}, "drain": {"delay": "30s", "budget": "5m"}})
    assert found["Deployment", "fox"]["spec"]["progressDeadlineSeconds"] > 3600
    assert pod_of(found)["terminationGracePeriodSeconds"] > 330


@pytest.mark.parametrize("target", Target)
def test_c04_cpu_and_memory_are_always_said_both_ways(render_of: RenderOf, target: Target) -> None:
    for spec in ({}, {"resources": {"limits": {"nvidia.com/gpu": 1}}}, {"roles": ROLES}):
        (server,) = pod_of(render_of(spec, target))["containers"]
        for side in ("requests", "limits"):
            assert {"cpu", "memory"} <= set(server["resources"][side])


def test_c04_what_is_said_one_way_is_meant_both_ways(render_of: RenderOf) -> None:
    asked = {"requests": {"cpu": 16}, "limits": {"memory": "64Gi"}}
    (server,) = pod_of(render_of({"resources": asked}))["containers"]
    assert server["resources"] == {
        "requests": {"cpu": "16", "memory": "64Gi"},
        "limits": {"cpu": "16", "memory": "64Gi"},
    }


@pytest.mark.parametrize("target", Target)
def test_c13_pods_fit_the_restricted_profile(render_of: RenderOf, target: Target) -> None:
    model = {"uri": "hf://acme/flux", "secretRef": {"name": "hub"}}
    pod = pod_of(render_of({"model": model}, target))
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    containers = [*pod["containers"], *pod["initContainers"]]
    assert len(containers) == 2
    for each in containers:
        assert each["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }


def test_c13_what_libraries_write_can_be_written(render_of: RenderOf) -> None:
    pod = pod_of(render_of({}))
    (server,) = pod["containers"]
    mounts = {each["mountPath"] for each in server["volumeMounts"]}
    assert set(RESERVED_FOLDERS) - {MODEL_FOLDER, ROLES_FOLDER} <= mounts
    for each in server["env"]:
        assert any(each["value"].startswith(folder) for folder in mounts), each
    (memory,) = (each for each in pod["volumes"] if each["name"] == "shm")
    assert memory["emptyDir"]["medium"] == "Memory"


def test_c13_services_of_the_namespace_do_not_become_settings(render_of: RenderOf) -> None:
    assert pod_of(render_of({}))["enableServiceLinks"] is False


@pytest.mark.parametrize(
    ("uri", "target", "address", "fetched", "storage_uri"),
    [
        ("embedded://", Target.DEPLOYMENT, "embedded://", None, None),
        ("embedded://", Target.KSERVE, "embedded://", None, None),
        ("hf://a/b@main", Target.DEPLOYMENT, "/mnt/models", "hf://a/b@main", None),
        ("hf://a/b@main", Target.KSERVE, "/mnt/models", None, "hf://a/b:main"),
        ("s3://a/b", Target.DEPLOYMENT, "/mnt/models", "s3://a/b", None),
        ("s3://a/b", Target.KSERVE, "/mnt/models", None, "s3://a/b"),
        ("gs://a/b", Target.DEPLOYMENT, "/mnt/models", "gs://a/b", None),
        ("oci://a/b:1", Target.DEPLOYMENT, "/mnt/models/models", None, None),
        ("oci://a/b:1", Target.KSERVE, "/mnt/models", None, "oci://a/b:1"),
        ("pvc://a", Target.KSERVE, "/mnt/models", None, None),
        ("pvc://a/b/c/", Target.DEPLOYMENT, "/mnt/models/b/c", None, None),
    ],
)
def test_c04_weights_come_by_the_way_of_their_address(
    render_of: RenderOf,
    uri: str,
    target: Target,
    address: str,
    fetched: str | None,
    storage_uri: str | None,
) -> None:
    pod = pod_of(render_of({"model": {"uri": uri}}, target))
    (server,) = pod["containers"]
    assert f"--model={address}" in server["args"]
    env = {each["name"]: each["value"] for each in server["env"]}
    assert env.get("STORAGE_URI") == storage_uri
    fetching = [each["args"] for each in pod.get("initContainers", ())]
    assert fetching == ([["fetch", fetched, "/mnt/models"]] if fetched else [])


def test_c04_with_credentials_the_pods_download_themselves(render_of: RenderOf) -> None:
    model = {"uri": "s3://a/b", "secretRef": {"name": "bucket"}}
    pod = pod_of(render_of({"model": model}, Target.KSERVE))
    (fetch,) = pod["initContainers"]
    assert {"secretRef": {"name": "bucket"}} in fetch["envFrom"]
    (server,) = pod["containers"]
    assert "envFrom" not in server, "the server has no use for them"
    assert "STORAGE_URI" not in {each["name"] for each in server["env"]}


def test_c04_a_lasting_cache_holds_the_weights(render_of: RenderOf) -> None:
    cache = {"persistentVolumeClaim": {"claimName": "cache"}}
    pod = pod_of(render_of({"model": {"uri": "hf://a/b"}, "cache": cache}))
    (fetch,), (server,) = pod["initContainers"], pod["containers"]
    for container in (fetch, server):
        (mount,) = (e for e in container["volumeMounts"] if e["mountPath"] == "/mnt/models")
        assert mount["name"] == "cache"
        assert mount["subPath"].startswith("models/")


def test_c02_a_router_loads_no_weights(render_of: RenderOf) -> None:
    found = render_of({"model": {"uri": "hf://a/b"}, "roles": ROLES})
    assert "initContainers" not in pod_of(found)
    assert "initContainers" in pod_of(found, "fox-encoder")


def test_c05_the_hash_tells_pods_of_one_spec_from_those_of_another(render_of: RenderOf) -> None:
    def digest(spec: dict[str, Any]) -> str:
        metadata = render_of(spec)["Deployment", "fox"]["spec"]["template"]["metadata"]
        found: str = metadata["annotations"][SPEC_HASH_ANNOTATION]
        return found

    assert digest({}) == digest({"replicas": 3}), "the number of pods does not change a pod"
    changes: list[dict[str, Any]] = [
        {"warmup": {"steps": 4}},
        {"template": {"labels": {"a": "b"}}},
        {"template": {"annotations": {"a": "b"}}},
    ]
    assert len({digest({}), *map(digest, changes)}) == 4
