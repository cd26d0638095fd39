"""Pods of the one small image, as Pod Security's strictest level wants them."""

from typing import Any

from tests.cluster.support.kubectl import Kubectl, Object
from tests.cluster.support.node import BUSYBOX
from tests.integration.support.server import wait_until

SECONDS = 60
PORT = 8080
# Serves what is in /www. Ready once there is a file of this name.
READY = "ready"
SERVE = f"echo hello from $HOSTNAME; hostname > /www/name; exec httpd -f -p {PORT} -h /www"


def web(name: str, *, script: str = SERVE, memory: str = "64Mi") -> Object:
    """A pod that serves, and is labelled with its name."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container(script, memory)],
            "restartPolicy": "Never",
            "volumes": [
                {"name": "www", "emptyDir": {}},
                {"name": "shm", "emptyDir": {"medium": "Memory"}},
            ],
        },
    }


def container(script: str, memory: str) -> dict[str, Any]:
    """The pod's only one."""
    return {
        "name": "web",
        "image": BUSYBOX,
        "imagePullPolicy": "Never",
        "args": ["sh", "-c", script],
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {
            "httpGet": {"path": f"/{READY}", "port": PORT},
            "periodSeconds": 1,
        },
        # A small machine has room for all of them: what is not said here is as much as the limits.
        "resources": {
            "limits": {"memory": memory, "cpu": "500m"},
            "requests": {"memory": "8Mi", "cpu": "10m"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "www", "mountPath": "/www"},
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108
        ],
    }


def service(name: str) -> Object:
    """In front of the pods with this label."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": PORT}]},
    }


def ready(pod: Object) -> bool:
    """Whether the pod has said so."""
    conditions = pod["status"].get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def bring(kubectl: Kubectl, name: str, **labels: str) -> Object:
    """A pod that is Ready, with these labels beside its name."""
    pod = web(name)
    pod["metadata"]["labels"] |= labels
    kubectl.apply(pod)
    running(kubectl, name)
    kubectl.run("exec", name, "--", "touch", f"/www/{READY}")
    return becoming_ready(kubectl, name)


def running(kubectl: Kubectl, name: str) -> None:
    """Return when its container runs."""
    wait_until(lambda: _phase(kubectl, name) == "Running", f"pod {name} runs", SECONDS)


def becoming_ready(kubectl: Kubectl, name: str) -> Object:
    """The pod, once it is Ready."""
    wait_until(lambda: ready(kubectl.get("pod", name)), f"pod {name} is Ready", SECONDS)
    return kubectl.get("pod", name)


def _phase(kubectl: Kubectl, name: str) -> str:
    return str(kubectl.get("pod", name)["status"].get("phase"))
