"""Everything that the operator decides where the spec is silent (C09).

A service keeps the defaults that it was rendered with until its spec changes, so that an upgrade of
the operator restarts nothing. Change a value by adding a revision; never by editing one.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Defaults:
    """``startup_margin``: seconds that the startup probe allows beyond warmup.timeout, so that it
    is the server that ends, with its reason. ``pull_seconds``: what a rollout may take for pulling
    images and downloading weights. ``farewell_seconds``: between the end of draining and SIGKILL.
    """

    cpu_request: str = "1"
    memory_request: str = "4Gi"
    cpu_limit: str = "4"
    memory_limit: str = "8Gi"
    router_cpu_request: str = "500m"
    router_memory_request: str = "1Gi"
    router_cpu_limit: str = "2"
    router_memory_limit: str = "2Gi"
    fetch_cpu_request: str = "1"
    fetch_memory_request: str = "1Gi"
    fetch_cpu_limit: str = "4"
    fetch_memory_limit: str = "4Gi"
    shared_memory: str = "2Gi"
    startup_period: int = 5
    startup_margin: int = 60
    readiness_period: int = 5
    readiness_failures: int = 2
    liveness_period: int = 10
    liveness_failures: int = 3
    probe_timeout: int = 5
    pull_seconds: int = 1800
    farewell_seconds: int = 15


LATEST: Final = 1
REVISIONS: Final = MappingProxyType({1: Defaults()})
