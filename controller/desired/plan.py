"""What is to be rendered: the service, the backend, and the defaults that go with it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from model.contract.roles import WORKERS, Role

from ..api.spec import Rollout
from ..api.warmup import WarmupMode
from ..api.workload import Workload
from ..service import Service
from .defaults import Defaults


class Target(StrEnum):
    """``spec.backend`` with Auto resolved."""

    KSERVE = "KServe"
    DEPLOYMENT = "Deployment"


FRONT: Final = "front"
# Words in the names of resources that only GPUs have: nvidia.com/gpu, amd.com/gpu,
# nvidia.com/mig-1g.5gb.
DEVICES: Final = ("gpu", "mig-", "tpu", "npu", "gaudi", "xpu")


@dataclass(frozen=True, slots=True)
class Part:
    """The pods of one role."""

    role: Role
    workload: Workload
    name: str

    @property
    def is_front(self) -> bool:
        """Whether users talk to it."""
        return self.role not in WORKERS

    @property
    def place(self) -> str:
        """Its place in the service, whatever the role that it has there."""
        return FRONT if self.is_front else str(self.role)

    @property
    def has_device(self) -> bool:
        resources = self.workload.resources
        asked = {**(resources.requests or {}), **(resources.limits or {})}
        return any(
            word in name.partition("/")[2] and str(amount) != "0"
            for name, amount in asked.items()
            for word in DEVICES
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """``image``: the server's, where the spec names none. ``operator_namespace``: of the operator's
    own pods, where it runs in pods.
    """

    service: Service
    target: Target
    defaults: Defaults
    image: str
    operator_namespace: str | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        """The front first."""
        spec, name = self.service.spec, self.service.name
        if spec.roles is None:
            return (Part(Role.MONOLITHIC, spec, name),)
        workers = (Part(role, each, f"{name}-{role}") for role, each in spec.roles.items())
        return (Part(Role.ROUTER, spec, name), *workers)

    @property
    def front(self) -> Part:
        return self.parts[0]

    @property
    def workers(self) -> tuple[Part, ...]:
        """None where one pod runs the whole pipeline."""
        return self.parts[1:]

    def on_kserve(self, part: Part) -> bool:
        """Only the front becomes an InferenceService. Workers are for the router alone."""
        return self.target is Target.KSERVE and part.is_front

    def deployment_name(self, part: Part) -> str:
        """KServe names the Deployment of an InferenceService by its component."""
        return f"{part.name}-predictor" if self.on_kserve(part) else part.name

    def warmup_mode(self, part: Part) -> WarmupMode:
        """C02: workers never warm up alone, whatever the spec says."""
        return self.service.spec.warmup.mode if part.is_front else WarmupMode.OFF

    def rollout(self, part: Part) -> Rollout:
        """Where the spec is silent, pods with a GPU make room before the next one comes."""
        asked = self.service.spec.rollout
        return asked or (Rollout.RESOURCE_AWARE if part.has_device else Rollout.SURGE)
