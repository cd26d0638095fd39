"""The services of ``services/``, and what is made of them."""

from pathlib import Path
from typing import Any

import yaml

from controller.api.validation import validated
from controller.desired.defaults import REVISIONS
from controller.desired.plan import Plan, Target
from controller.desired.render import render
from controller.service import Service

FOLDER = Path(__file__).parent
SERVICES = sorted(path.stem for path in (FOLDER / "services").glob("*.yaml"))
IMAGE = "kiln-model:1"

Object = dict[str, Any]


def given(name: str) -> Object:
    """The object as somebody wrote it."""
    text = (FOLDER / f"services/{name}.yaml").read_text(encoding="utf-8")
    loaded: Object = yaml.safe_load(text)
    return loaded


def plan_of(body: Object, target: Target) -> Plan:
    """As the operator would plan it, with the first defaults that ever were."""
    return Plan(Service.read(validated(body)), target, REVISIONS[1], IMAGE)


def rendered(body: Object, target: Target) -> list[Object]:
    return list(render(plan_of(body, target)))


def containers(objects: list[Object]) -> list[Object]:
    """Of all pods, in Deployments and InferenceServices."""
    found: list[Object] = []
    for each in objects:
        spec = each["spec"]
        pod = spec.get("predictor") or spec.get("template", {}).get("spec", {})
        found += pod.get("containers", ())
    return found
