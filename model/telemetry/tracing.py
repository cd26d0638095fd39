"""The trace that a request belongs to, as its client names it: W3C's ``traceparent`` and
``tracestate``. A router hands it on; nothing here reads it.
"""

from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Final

HEADERS: Final = ("traceparent", "tracestate")
NO_TRACE: Final[Mapping[str, str]] = MappingProxyType({})

_current: ContextVar[Mapping[str, str]] = ContextVar("kiln_trace", default=NO_TRACE)


def current_trace() -> Mapping[str, str]:
    """Of the request that is being answered here."""
    return _current.get()


def trace_id(trace: Mapping[str, str]) -> dict[str, str]:
    """For a line of the log: the id by which a tracing system knows the trace; nothing without."""
    parts = trace.get("traceparent", "").split("-")
    return {"trace_id": parts[1]} if len(parts) > 1 else {}


def enter_trace(headers: Iterable[tuple[str, str]]) -> None:
    """What follows in this task belongs to the trace that ``headers``, of any case, tell of."""
    found = {name.lower(): text for name, text in headers if name.lower() in HEADERS}
    _current.set(found or NO_TRACE)
