"""``template`` and ``resources``: what Kubernetes' own types say about the pods.

The fields are those that pods of the server can have without losing what Ready promises: probes,
ports, command and lifecycle are the operator's.
"""

from typing import Annotated, Final

from pydantic import Field

from .base import ApiModel, KubernetesName, Object, Rule, core, rules
from .names import RESERVED_PREFIXES

# Volumes and folders that the operator mounts in every pod.
RESERVED_VOLUMES: Final = ("cache", "model", "role-token", "shm", "tmp")
MODEL_FOLDER: Final = "/mnt/models"
CACHE_FOLDER: Final = "/var/cache/kiln"
TEMPORARY_FOLDER: Final = "/tmp"  # noqa: S108 - a mount of the pod's own
SHARED_MEMORY: Final = "/dev/shm"  # noqa: S108 - the same
ROLES_FOLDER: Final = "/etc/kiln/roles"
RESERVED_FOLDERS: Final = (
    MODEL_FOLDER,
    CACHE_FOLDER,
    TEMPORARY_FOLDER,
    SHARED_MEMORY,
    ROLES_FOLDER,
)

_PREFIXES: Final = " || ".join(f"key.startsWith('{each}')" for each in RESERVED_PREFIXES)
_VOLUMES: Final = ", ".join(f"'{each}'" for each in RESERVED_VOLUMES)
_FOLDERS: Final = ", ".join(f"'{each}'" for each in RESERVED_FOLDERS)


def _not_ours(field: str) -> Rule:
    return Rule(
        f"!self.exists(key, {_PREFIXES})",
        f"template.{field}: the prefixes {' '.join(RESERVED_PREFIXES)} are the operator's; choose "
        "another",
    )


Text = Annotated[str, Field(max_length=4096)]


class Resources(ApiModel):
    """What a pod's container asks for and may use. CPU and memory that are not said get defaults,
    since KServe would limit them to 1 CPU and 2Gi. Naming a GPU makes rollouts ResourceAware.
    """

    requests: dict[str, str | int] | None = Field(
        None,
        description="What the scheduler sets aside, such as cpu: 4, memory: 32Gi.",
        json_schema_extra={"maxProperties": 32},
    )
    limits: dict[str, str | int] | None = Field(
        None,
        description="What it may use at most, such as memory: 32Gi, nvidia.com/gpu: 1.",
        json_schema_extra={"maxProperties": 32},
    )


class Template(ApiModel):
    """Overrides of the pods' metadata and spec. They are merged over what the operator renders."""

    labels: dict[str, Text] = Field(
        {},
        description="More labels of the pods.",
        json_schema_extra={"maxProperties": 64, **rules(_not_ours("labels"))},
    )
    annotations: dict[str, Text] = Field(
        {},
        description="More annotations of the pods.",
        json_schema_extra={"maxProperties": 64, **rules(_not_ours("annotations"))},
    )
    node_selector: dict[str, Text] = Field(
        {},
        description="Labels that a node must have.",
        json_schema_extra={"maxProperties": 64},
    )
    tolerations: tuple[Object, ...] = Field(
        (), max_length=64, description="Taints of nodes to put up with.",
        json_schema_extra=core("V1Toleration"),
    )  # fmt: skip
    affinity: Object | None = Field(
        None,
        description="Which nodes, and which neighbours.",
        json_schema_extra=core("V1Affinity"),
    )
    topology_spread_constraints: tuple[Object, ...] = Field(
        (), max_length=16, description="How pods spread over zones and nodes.",
        json_schema_extra=core("V1TopologySpreadConstraint"),
    )  # fmt: skip
    env: tuple[Object, ...] = Field(
        (), max_length=128,
        description="More environment variables of the server, such as those of a proxy. KILN_... "
        "are the server's settings; a flag that the operator sets goes before its variable.",
        json_schema_extra=core("V1EnvVar"),
    )  # fmt: skip
    env_from: tuple[Object, ...] = Field(
        (), max_length=32, description="Secrets and ConfigMaps as environment variables.",
        json_schema_extra=core("V1EnvFromSource"),
    )  # fmt: skip
    volumes: tuple[Object, ...] = Field(
        (),
        max_length=32,
        description="More volumes. The names cache, model, shm and tmp are the operator's.",
        json_schema_extra={
            **core(
                "V1Volume",
                *("name", "configMap", "csi", "emptyDir", "hostPath", "image", "nfs"),
                *("persistentVolumeClaim", "projected", "secret"),
            ),
            **rules(
                Rule(
                    f"!self.exists(each, each.name in [{_VOLUMES}])",
                    "template.volumes: the names cache, model, shm and tmp are the operator's; "
                    "choose another",
                )
            ),
        },
    )
    volume_mounts: tuple[Object, ...] = Field(
        (),
        max_length=32,
        description="Where the server sees those volumes.",
        json_schema_extra={
            **core("V1VolumeMount"),
            **rules(
                Rule(
                    f"!self.exists(each, each.mountPath in [{_FOLDERS}])",
                    f"template.volumeMounts: {' '.join(RESERVED_FOLDERS)} are the operator's; "
                    "mount elsewhere",
                )
            ),
        },
    )
    service_account_name: KubernetesName | None = Field(
        None, description="The pods' identity. Its token is not mounted."
    )
    image_pull_secrets: tuple[Object, ...] = Field(
        (), max_length=16, description="Secrets that pull the images.",
        json_schema_extra=core("V1LocalObjectReference"),
    )  # fmt: skip
    priority_class_name: KubernetesName | None = Field(
        None, description="Which pods give way to which."
    )
    runtime_class_name: KubernetesName | None = Field(
        None, description="Which container runtime runs the pods, such as nvidia."
    )
    scheduler_name: KubernetesName | None = Field(
        None, description="Which scheduler places the pods."
    )
    security_context: Object | None = Field(
        None,
        description="The pods' securityContext. Fields that it names replace the operator's, which "
        "fit Pod Security's restricted profile.",
        json_schema_extra=core("V1PodSecurityContext"),
    )
