"""What a model is, as JSON: a router knows of it what the replicas say, and loads nothing."""

from typing import Final

from pydantic import TypeAdapter, ValidationError

from .sampling import ModelDescription

# Fields that only a newer release knows are passed over.
DESCRIPTION: Final = TypeAdapter(ModelDescription)


def write_description(model: ModelDescription) -> bytes:
    """The whole of it."""
    return DESCRIPTION.dump_json(model)


def read_description(written: bytes) -> ModelDescription:
    """
    Raises:
        ValueError: it is none; the message names the field.
    """
    try:
        return DESCRIPTION.validate_json(written)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"description: {where}: {first['msg']}".replace(": : ", ": ")) from None
