"""Errors as OpenAI's clients read them."""

from typing import Any, Final

from ...errors import InvalidRequest, KilnError, NotReady

PREFIXES: Final = ("/v1/images/", "/v1/videos", "/openai/")


def speaks(path: str) -> bool:
    """Whether ``path`` is of OpenAI's API, and so are its errors."""
    return path.startswith(PREFIXES)


def of(error: KilnError) -> dict[str, Any]:
    """The body of an answer. Those of the gate carry state and progress besides."""
    details = error.details if isinstance(error, NotReady) else {}
    field = error.field if isinstance(error, InvalidRequest) else None
    return {**written(str(error), error.openai_type, error.openai_code, field), **details}


def written(message: str, kind: str, code: str, field: str | None = None) -> dict[str, Any]:
    """The envelope."""
    return {"error": {"message": message, "type": kind, "param": field, "code": code}}
