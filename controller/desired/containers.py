"""The containers of a pod: the server, and the one that downloads the weights."""

from typing import Final

from model.contract.flags import GRPC_PORT, HTTP_PORT
from model.contract.roles import Role

from ..api.base import Object
from ..api.template import (
    CACHE_FOLDER,
    MODEL_FOLDER,
    SHARED_MEMORY,
    TEMPORARY_FOLDER,
    Resources,
)
from . import between_roles
from .arguments import arguments
from .plan import Part, Plan
from .probes import HTTP_PORT_NAME, probes
from .storage import CACHE_VOLUME, storage

# KServe knows the container by this name; the Deployment backend has no reason for another.
SERVER_CONTAINER: Final = "kserve-container"
FETCH_CONTAINER: Final = "fetch-model"
PROGRAM: Final = ["python", "-m", "model"]
# What KServe's webhook reads to add its storage initializer.
STORAGE_VARIABLE: Final = "STORAGE_URI"
RESTRICTED: Final = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}
# Everything that libraries would write into a home that cannot be written.
FOLDERS: Final = {
    "HOME": TEMPORARY_FOLDER,
    "HF_HOME": f"{CACHE_FOLDER}/huggingface",
    "XDG_CACHE_HOME": f"{CACHE_FOLDER}/xdg",
}
SCRATCH: Final = (
    {"name": CACHE_VOLUME, "mountPath": CACHE_FOLDER},
    {"name": "tmp", "mountPath": TEMPORARY_FOLDER},
)


def server(plan: Plan, part: Part) -> Object:
    """The model server."""
    template = part.workload.template
    found = storage(plan, part)
    env = environment(part)
    if found.storage_uri is not None:
        env.append({"name": STORAGE_VARIABLE, "value": found.storage_uri})
    return {
        "name": SERVER_CONTAINER,
        **_image(plan),
        "command": PROGRAM,
        "args": arguments(plan, part),
        "ports": [
            {"name": HTTP_PORT_NAME, "containerPort": HTTP_PORT, "protocol": "TCP"},
            {"name": "grpc", "containerPort": GRPC_PORT, "protocol": "TCP"},
        ],
        "env": env,
        **({"envFrom": list(template.env_from)} if template.env_from else {}),
        "resources": resources(plan, part),
        "volumeMounts": [
            *SCRATCH,
            {"name": "shm", "mountPath": SHARED_MEMORY},
            *found.mounts,
            *between_roles.mounts(plan),
            *template.volume_mounts,
        ],
        **probes(plan),
        "terminationMessagePath": "/dev/termination-log",
        # A crash before the server could write its reason still tells something.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": RESTRICTED,
    }


def fetch(plan: Plan, part: Part) -> list[Object]:
    """The container that downloads the weights before the server starts; none where nobody has
    to.
    """
    found = storage(plan, part)
    if found.fetched is None:
        return []
    template, secret = part.workload.template, plan.service.spec.model.secret_ref
    sources = [*template.env_from, *([{"secretRef": {"name": secret.name}}] if secret else [])]
    given = plan.defaults
    return [
        {
            "name": FETCH_CONTAINER,
            **_image(plan),
            "command": PROGRAM,
            "args": ["fetch", found.fetched, MODEL_FOLDER],
            "env": environment(part),
            **({"envFrom": sources} if sources else {}),
            "resources": {
                "requests": {"cpu": given.fetch_cpu_request, "memory": given.fetch_memory_request},
                "limits": {"cpu": given.fetch_cpu_limit, "memory": given.fetch_memory_limit},
            },
            "volumeMounts": [*SCRATCH, *found.mounts],
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "securityContext": RESTRICTED,
        }
    ]


def environment(part: Part) -> list[Object]:
    """Ours, and the template's. A name that the template gives is the template's."""
    own = part.workload.template.env
    given = {each["name"] for each in own}
    ours: list[Object] = [
        {"name": name, "value": value} for name, value in FOLDERS.items() if name not in given
    ]
    return [*ours, *own]


def resources(plan: Plan, part: Part) -> Object:
    """CPU and memory are always there, both ways: KServe would fill in 1 CPU and 2Gi. What is said
    one way is meant both ways.
    """
    asked: Resources = part.workload.resources
    requests, limits = dict(asked.requests or {}), dict(asked.limits or {})
    given, router = plan.defaults, part.role is Role.ROUTER
    for name, request, limit in (
        (
            "cpu",
            given.router_cpu_request if router else given.cpu_request,
            given.router_cpu_limit if router else given.cpu_limit,
        ),
        (
            "memory",
            given.router_memory_request if router else given.memory_request,
            given.router_memory_limit if router else given.memory_limit,
        ),
    ):
        said_request, said_limit = requests.get(name), limits.get(name)
        requests[name] = said_request or said_limit or request
        limits[name] = said_limit or said_request or limit
    return {
        "requests": {name: str(value) for name, value in requests.items()},
        "limits": {name: str(value) for name, value in limits.items()},
    }


def _image(plan: Plan) -> Object:
    runtime = plan.service.spec.runtime
    return {
        "image": runtime.image or plan.image,
        "imagePullPolicy": str(runtime.image_pull_policy),
    }
