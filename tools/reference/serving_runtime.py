"""The ClusterServingRuntime for InferenceServices without our operator, from the same renderer as
the operator's pods: the same probes, folders, flags and restrictions.

KServe puts the weights of ``storageUri`` into ``MODEL_FOLDER``, appends the arguments of the
InferenceService to these, and fills in ``{{.Name}}``. A change of a runtime restarts every pod that
was made of it, so that its name has the version in it, and an upgrade adds one.
"""

from typing import Any, Final

from controller import __version__
from controller.__main__ import DEFAULT_IMAGE
from controller.api.base import seconds
from controller.api.template import MODEL_FOLDER
from controller.api.validation import validated
from controller.desired.arguments import COMPILED
from controller.desired.containers import server
from controller.desired.defaults import LATEST, REVISIONS
from controller.desired.plan import Plan, Target
from controller.desired.pod import pod_spec
from controller.service import Service
from model.contract.flags import GRPC_PORT, HTTP_PORT, Flag, written

from ..yaml_text import yaml_text

Object = dict[str, Any]

FORMAT: Final = "diffusers"
NAME: Final = f"kiln-{FORMAT}-{__version__}"
HEADER: Final = f"""\
# Generated from controller/desired by `make generate`.
# For InferenceServices without our operator: predictor.model.modelFormat.name: {FORMAT}.
"""
# Seconds. Together less than the 30 that Kubernetes gives a pod whose InferenceService is silent.
DRAIN_DELAY: Final = 5
DRAIN_TIMEOUT: Final = 20
# Of the pod, which a runtime has no field for.
RESTRICTED: Final = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
SERVICE: Final = {
    "apiVersion": "kiln.dev/v1alpha1",
    "kind": "DiffusionService",
    "metadata": {"name": "runtime", "namespace": "default"},
    "spec": {},
}


def serving_runtime() -> Object:
    """One of the cluster's runtimes."""
    plan = Plan(
        Service.read(validated(SERVICE)), Target.KSERVE, REVISIONS[LATEST], image=DEFAULT_IMAGE
    )
    container = server(plan, plan.front)
    container["args"] = ["serve", *(written(flag, value) for flag, value in _flags(plan).items())]
    container["securityContext"] = {**container["securityContext"], **RESTRICTED}
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ClusterServingRuntime",
        "metadata": {"name": NAME},
        "spec": {
            "supportedModelFormats": [
                {"name": FORMAT, "version": "1", "autoSelect": True, "priority": 1}
            ],
            # v1 as well: KServe takes a predictor that says nothing for one of v1.
            "protocolVersions": ["v1", "v2", "grpc-v2"],
            "containers": [container],
            "volumes": pod_spec(plan, plan.front)["volumes"],
        },
    }


def _flags(plan: Plan) -> dict[Flag, object]:
    """What is not here, the server decides as it would anywhere else."""
    return {
        Flag.MODEL: MODEL_FOLDER,
        Flag.MODEL_NAME: "{{.Name}}",
        Flag.CACHE_DIR: COMPILED,
        # The startup probe has the same budget, and a margin.
        Flag.STARTUP_TIMEOUT: seconds(plan.service.spec.warmup.timeout),
        Flag.HTTP_PORT: HTTP_PORT,
        Flag.GRPC_PORT: GRPC_PORT,
        Flag.DRAIN_DELAY: DRAIN_DELAY,
        Flag.DRAIN_TIMEOUT: DRAIN_TIMEOUT,
        Flag.LOG_FORMAT: "json",
    }


def serving_runtime_yaml() -> str:
    """For ``kubectl apply``."""
    return HEADER + yaml_text(serving_runtime())
