"""The CustomResourceDefinition."""

from typing import Final

from . import names
from .base import Object, Rule
from .spec import Spec
from .status import Status
from .structural import CoreSchema, structural_schema

CONDITION: Final = '.status.conditions[?(@.type=="{}")].{}'

# Name, path, what it says, and 1 for those that only -o wide shows (C06).
COLUMNS: Final = (
    ("Model", ".spec.model.uri", "Which model is served.", 0),
    ("Ready", CONDITION.format("Ready", "status"), "Whether this spec is served, warm.", 0),
    ("Reason", CONDITION.format("Ready", "reason"), "Why.", 0),
    ("Replicas", ".status.ready", "Ready pods of all pods.", 0),
    ("URL", ".status.url", "Where it answers.", 0),
    ("Warmup", ".status.warmup.mode", "How it is warmed up.", 1),
    ("Roles", ".status.workers", "Ready pods of each worker role.", 1),
    ("Message", CONDITION.format("Ready", "message"), "What happens, or what to mend.", 1),
)
DESCRIPTION: Final = (
    "A DiffusionService serves an image or video diffusion model. It is Ready when its pods have "
    "warmed up: the first request then takes as long as the thousandth. Start with spec.model.uri; "
    "everything else has a default."
)
NAME_RULES: Final = (
    Rule(
        "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        "metadata.name: must begin with a letter and hold only a-z, 0-9 and '-'; it becomes the "
        "name of Services",
    ),
    Rule(
        f"size(self.metadata.name) <= {names.LONGEST_NAME}",
        f"metadata.name: at most {names.LONGEST_NAME} characters, so that NAME-predictor-NAMESPACE "
        "can be a name of DNS; choose a shorter one",
    ),
)


def definition(core_schema: CoreSchema) -> Object:
    """The whole object, ready to be applied."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names.PLURAL}.{names.GROUP}"},
        "spec": {
            "group": names.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": names.KIND,
                "listKind": f"{names.KIND}List",
                "plural": names.PLURAL,
                "singular": names.SINGULAR,
                "shortNames": list(names.SHORT_NAMES),
                "categories": list(names.CATEGORIES),
            },
            "versions": [
                {
                    "name": names.VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": object_schema(core_schema)},
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": ".spec.replicas",
                            "statusReplicasPath": ".status.replicas",
                            "labelSelectorPath": ".status.selector",
                        },
                    },
                    "additionalPrinterColumns": [*map(_column, COLUMNS), _AGE],
                }
            ],
        },
    }


_AGE: Final = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}


def _column(described: tuple[str, str, str, int]) -> Object:
    name, path, meaning, priority = described
    return {
        "name": name,
        "type": "string",
        "jsonPath": path,
        "description": meaning,
        "priority": priority,
    }


def object_schema(core_schema: CoreSchema) -> Object:
    """Of the object: ``spec`` is needed, even where it is ``{}``."""
    return {
        "type": "object",
        "description": DESCRIPTION,
        "required": ["spec"],
        "x-kubernetes-validations": [each.as_schema() for each in NAME_RULES],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural_schema(Spec, core_schema),
            "status": {
                **structural_schema(Status, core_schema),
                "default": {"observedGeneration": -1},
            },
        },
    }
