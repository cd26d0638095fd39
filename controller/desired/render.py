"""One renderer for both backends (C04): all children of a service, in the order of their making."""

from collections.abc import Iterator

from ..api.base import Object
from .autoscalers import horizontal_pod_autoscaler, scaled_object
from .deployment import deployment
from .inference_service import inference_service
from .network_policy import network_policy
from .plan import Part, Plan
from .pod_disruption_budget import pod_disruption_budget
from .pod_monitor import pod_monitor
from .service_object import service


def render(plan: Plan) -> tuple[Object, ...]:
    """What the cluster should hold for this service, and nothing else of it. Workers come before
    the front, which waits for them.
    """
    children = [each for part in reversed(plan.parts) for each in _of(plan, part)]
    if plan.service.spec.monitoring.pod_monitor:
        children.append(pod_monitor(plan))
    return tuple(children)


def _of(plan: Plan, part: Part) -> Iterator[Object]:
    spec = plan.service.spec
    # Before the pods, so that none of them is ever reachable without it.
    if spec.network_policy.enabled:
        yield network_policy(plan, part)
    if plan.on_kserve(part):
        yield inference_service(plan, part)
    else:
        yield service(plan, part)
        yield deployment(plan, part)
    if spec.pod_disruption_budget.enabled:
        yield pod_disruption_budget(plan, part)
    yield from _autoscaler(plan, part)


def _autoscaler(plan: Plan, part: Part) -> Iterator[Object]:
    scaling = part.workload.scaling
    if scaling is None or plan.service.spec.suspend:
        return
    if scaling.prometheus is not None:
        yield scaled_object(plan, part, scaling, scaling.prometheus.server_address)
    else:
        yield horizontal_pod_autoscaler(plan, part, scaling)
