"""The CEL rules of the schema, evaluated by a CEL library. Imported only to validate: it takes a
while.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

import cel

from .base import RULES, Object


def broken_rules(value: Any, described: Object, path: str = "") -> Iterator[str]:
    """The messages of the rules that ``value`` breaks. Its structure has been checked before."""
    for rule in described.get(RULES, ()):
        if not holds(rule["rule"], value):
            yield f"{path or '<root>'}: Invalid value: {rule['message']}"
    if isinstance(value, list):
        for place, each in enumerate(value):
            yield from broken_rules(each, described["items"], f"{path}[{place}]")
    elif isinstance(value, dict):
        for name, each in value.items():
            inner = described.get("properties", {}).get(name, described.get("additionalProperties"))
            if inner is not None:
                yield from broken_rules(each, inner, f"{path}.{name}" if path else name)


def holds(expression: str, value: Any) -> bool:
    """Whether the rule is true of ``value``."""
    context = cel.Context({"self": value})
    # Kubernetes' own extension of CEL, as far as our rules use it.
    context.add_function("split", lambda text, separator: text.split(separator))
    return bool(_compiled(expression).execute(context))


@cache
def _compiled(expression: str) -> Any:
    return cel.compile(expression)
