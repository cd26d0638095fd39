"""What all parts of the API share: camelCase on the wire, no unknown fields, rules beside the
fields that they bind.

A rule is CEL, which the API server evaluates, and so does ``python -m controller validate``. Its
message names the field from the top and says how to mend it.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

RULES: Final = "x-kubernetes-validations"
# Markers that the schema generator turns into what Kubernetes understands.
CORE_TYPE: Final = "x-kiln-core-type"
CORE_FIELDS: Final = "x-kiln-core-fields"


class ApiModel(BaseModel):
    """Frozen, as everything that was read; unknown fields are refused, since they would do
    nothing.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        protected_namespaces=(),
    )


@dataclass(frozen=True, slots=True)
class Rule:
    """``expression`` must be true. ``fix`` is the message: the field, and how to mend it."""

    expression: str
    fix: str

    def as_schema(self) -> dict[str, str]:
        return {"rule": self.expression, "message": self.fix}


def rules(*several: Rule) -> dict[str, Any]:
    """For ``json_schema_extra`` of a field or of a model."""
    return {RULES: [each.as_schema() for each in several]}


def core(kind: str, *fields: str) -> dict[str, Any]:
    """The field holds a type of Kubernetes itself, of which only ``fields`` are let in; none:
    all.
    """
    return {CORE_TYPE: kind, CORE_FIELDS: list(fields)}


Object = dict[str, Any]
Duration = Annotated[str, Field(pattern=r"^([0-9]{1,6}(h|m|s))+$", max_length=20)]
"""Such as ``90s``, ``20m`` or ``1h30m``."""

KubernetesName = Annotated[
    str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253, min_length=1)
]
SECONDS_IN: Final = {"h": 3600, "m": 60, "s": 1}


def seconds(duration: str) -> int:
    """``1h30m`` is 5400. The pattern of ``Duration`` has been checked before."""
    total, digits = 0, ""
    for character in duration:
        if character.isdigit():
            digits += character
        else:
            total += int(digits) * SECONDS_IN[character]
            digits = ""
    return total
