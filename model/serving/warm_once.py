"""Load and warm up without a port: what ``python -m model warmup`` runs."""

import asyncio
import signal
from typing import Any

from prometheus_client import CollectorRegistry

from ..configuration.resolve import Resolved
from ..contract.state import State
from ..errors import StartupError
from ..media.encode import EncodePool
from ..roles.monolith import Monolith
from ..roles.server_state import ServerState
from ..telemetry.metrics import Metrics
from .context import Serving
from .report_file import report_document, write_report


def warm_once(resolved: Resolved) -> tuple[dict[str, Any], StartupError | None]:
    """The report, and the failure if it failed. Ctrl-C and SIGTERM end it at once."""
    return asyncio.run(_warm_once(resolved))


async def _warm_once(resolved: Resolved) -> tuple[dict[str, Any], StartupError | None]:
    settings, state = resolved.settings, ServerState()
    metrics, pool = Metrics(CollectorRegistry()), EncodePool(settings.encode_threads)
    role = Monolith(resolved, state, metrics, pool)
    serving = Serving(settings=settings, state=state, role=role, metrics=metrics, pool=pool)
    me = asyncio.current_task()
    assert me is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, me.cancel)
    failure: StartupError | None = None
    try:
        state.enter(State.LOADING)
        role.spawn()
        await role.load()
        state.enter(State.READY)
    except StartupError as error:
        failure = error
        state.fail(error)
    finally:
        await role.close()
        pool.close()
    found = report_document(serving)
    if settings.warmup_report_path is not None:
        write_report(settings.warmup_report_path, found)
    return found, failure
