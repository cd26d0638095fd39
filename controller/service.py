"""One DiffusionService as the cluster has it, read once."""

from dataclasses import dataclass
from typing import Any, Self

from pydantic import ValidationError

from .api.spec import Spec
from .api.status import Status
from .errors import InvalidService


@dataclass(frozen=True, slots=True)
class Service:
    """``uid`` is empty for an object from a file. ``model_name``: in URLs."""

    name: str
    namespace: str
    uid: str
    generation: int
    spec: Spec
    status: Status

    @classmethod
    def read(cls, body: Any) -> Self:
        """From the object, with its defaults filled in or not.

        Raises:
            InvalidService: the object does not fit these models, because it was applied with
            another
                version of the CRD.
        """
        metadata = body["metadata"]
        try:
            spec = Spec.model_validate(body.get("spec") or {})
            status = Status.model_validate(body.get("status") or {})
        except ValidationError as error:
            raise InvalidService(tuple(_problems(error))) from error
        return cls(
            name=metadata["name"],
            namespace=metadata.get("namespace") or "default",
            uid=metadata.get("uid", ""),
            generation=metadata.get("generation", 1),
            spec=spec,
            status=status,
        )

    @property
    def model_name(self) -> str:
        return self.spec.model.name or self.name


def _problems(error: ValidationError) -> list[str]:
    return [
        f"spec.{'.'.join(map(str, each['loc']))}: {each['msg']}; apply the CRD that belongs to "
        "this operator"
        for each in error.errors(include_input=False, include_url=False)
    ]
