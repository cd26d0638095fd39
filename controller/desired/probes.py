"""Probes and deadlines, all from the budgets of the spec (C03). Always HTTP: KServe's default, a
TCP probe, says Ready as soon as the port opens.
"""

from model.contract.flags import LIVE_PATH, READY_PATH

from ..api.base import Object, seconds
from .defaults import Defaults
from .plan import Plan

HTTP_PORT_NAME = "http"


def startup_seconds(plan: Plan) -> int:
    """How long a container may take to its first Ready. The server's own deadline comes before
    it.
    """
    return seconds(plan.service.spec.warmup.timeout) + plan.defaults.startup_margin


def probes(plan: Plan) -> Object:
    """Startup, readiness and liveness of the server's container."""
    given = plan.defaults
    return {
        "startupProbe": {
            **_http(READY_PATH, given),
            "periodSeconds": given.startup_period,
            "failureThreshold": -(-startup_seconds(plan) // given.startup_period),
        },
        "readinessProbe": {
            **_http(READY_PATH, given),
            "periodSeconds": given.readiness_period,
            "failureThreshold": given.readiness_failures,
        },
        "livenessProbe": {
            **_http(LIVE_PATH, given),
            "periodSeconds": given.liveness_period,
            "failureThreshold": given.liveness_failures,
        },
    }


def progress_deadline(plan: Plan) -> int:
    """Seconds after which a rollout that does not move counts as stuck."""
    return startup_seconds(plan) + plan.defaults.pull_seconds


def grace_period(plan: Plan) -> int:
    """Seconds between SIGTERM and SIGKILL."""
    drain = plan.service.spec.drain
    return seconds(drain.delay) + seconds(drain.budget) + plan.defaults.farewell_seconds


def _http(path: str, given: Defaults) -> Object:
    return {
        "httpGet": {"path": path, "port": HTTP_PORT_NAME, "scheme": "HTTP"},
        "timeoutSeconds": given.probe_timeout,
        "successThreshold": 1,
    }
