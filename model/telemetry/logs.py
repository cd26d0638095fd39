"""Logs are events with fields: JSON lines for machines, one readable line each on a terminal.

Prompts are never logged at INFO: they are the users'.
"""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

import structlog

# Libraries that speak up at INFO about what our own events already say.
QUIET = tuple(
    "uvicorn uvicorn.access httpx httpx2 httpcore urllib3 kserve asyncio botocore google".split()
)

OF_ALL_LINES: Final[dict[str, str]] = {}


def configure_logs(level: str, style: str) -> None:
    """Send our events and every library's records to standard error in one form. ``style`` is
    ``auto``, ``console`` or ``json``; auto means json unless standard error is a terminal.
    """
    shared: list[Any] = [
        _named,
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    as_json = style == "json" or (style == "auto" and not sys.stderr.isatty())
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = _CurrentStderr()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ]
            if as_json
            else [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def name_server(name: str) -> None:
    """Have every line of this process name it: several servers write to one log."""
    OF_ALL_LINES["server"] = name


def _named(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    return {**OF_ALL_LINES, **event}


class _CurrentStderr(logging.StreamHandler[Any]):
    """Writes to what ``sys.stderr`` is at the time: a progress bar puts itself in between."""

    @property
    def stream(self) -> Any:
        return sys.stderr

    @stream.setter
    def stream(self, value: Any) -> None:
        """The base class sets it once; ours is read afresh."""


def get_logger(name: str) -> Any:
    """A logger whose calls are ``log.info("event_name", field=value)``."""
    return structlog.stdlib.get_logger(name)
