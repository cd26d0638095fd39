"""The support matrix of the OpenAI-compatible API, from the table that requests are read by."""

from model import errors
from model.errors import KilnError, RequestError
from model.serving.openai.fields import FIELDS, Field, Route, Support

from .tables import table

INTRODUCTION = """# Fields of OpenAI's images and videos API

<!-- Generated from model/serving/openai/fields.py by `make generate`. -->

Every field of OpenAI's API reference, and those that are Kiln's own (how to use them:
[images](../openai.md), [videos](../videos.md)). **yes**: as OpenAI has it. **differs**: it works,
with the difference that is named. **no**: a 400 that names the field, unless the server was started
with `--lenient true`.

"""
ORDER = (Support.YES, Support.DIFFERS, Support.NO, Support.OWN)


def render() -> str:
    """The whole page."""
    rows = sorted(FIELDS, key=lambda each: ORDER.index(each.support))
    fields = table(("field", *Route, "", "meaning"), [_row(each) for each in rows])
    codes = table(
        ("`code`", "`type`", "status"),
        sorted({(f"`{each.openai_code}`", f"`{each.openai_type}`", str(each.http_status))
                for each in _errors()}),
    )  # fmt: skip
    return f"{INTRODUCTION}{fields}\n## Codes of errors\n\n{codes}"


def _row(field: Field) -> tuple[str, ...]:
    marks = ("x" if route in field.routes else "" for route in Route)
    return (f"`{field.name}`", *marks, f"**{field.support}**", field.meaning)


def _errors() -> list[type[KilnError]]:
    found = [KilnError]
    for each in vars(errors).values():
        if isinstance(each, type) and issubclass(each, RequestError) and each is not RequestError:
            found.append(each)
    return found
