"""Services to render, from a spec alone."""

from collections.abc import Callable
from typing import Any

import pytest

from controller.api import names
from controller.api.validation import validated
from controller.desired.defaults import REVISIONS
from controller.desired.plan import Plan, Target
from controller.desired.render import render
from controller.service import Service

Object = dict[str, Any]
PlanOf = Callable[..., Plan]
RenderOf = Callable[..., dict[tuple[str, str], Object]]


def body_of(spec: Object, name: str = "fox", **metadata: Any) -> Object:
    """The object, with its defaults, as a cluster would return it."""
    return validated(
        {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"name": name, "namespace": "art", "uid": "1", "generation": 1, **metadata},
            "spec": spec,
        }
    )


@pytest.fixture
def plan_of() -> PlanOf:
    def make(spec: Object, target: Target = Target.DEPLOYMENT, **metadata: Any) -> Plan:
        service = Service.read(body_of(spec, **metadata))
        return Plan(service, target, REVISIONS[1], "kiln-model:1")

    return make


@pytest.fixture
def render_of(plan_of: PlanOf) -> RenderOf:
    """By kind and name."""

    def make(spec: Object, target: Target = Target.DEPLOYMENT, **metadata: Any) -> Any:
        children = render(plan_of(spec, target, **metadata))
        return {(each["kind"], each["metadata"]["name"]): each for each in children}

    return make
