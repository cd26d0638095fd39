"""Load, draw one request and end, without a port: what ``python -m model generate`` runs."""

import asyncio
import signal
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry

from ..configuration.resolve import Resolved
from ..contract.state import State
from ..contract.watching import Watch
from ..errors import InvalidRequest
from ..media.decode import decode_picture
from ..media.encode import EncodePool
from ..pipelines.requests import Ask, output_format
from ..roles.monolith import Monolith
from ..roles.server_state import ServerState
from ..telemetry.metrics import Metrics
from .context import Serving
from .drawing import Drawn, draw

Step = Callable[[int, int], None]


def draw_once(
    resolved: Resolved,
    ask: Ask,
    image: bytes | None,
    chosen: str | None,
    loaded: Callable[[], None],
    step: Step,
) -> tuple[Drawn, str]:
    """What was drawn, and its format. ``image``: encoded. ``chosen``: a format; None: the usual one
    of the model. ``loaded`` is called once it is, and ``step`` after each step.

    Raises:
        StartupError: the model does not load, or its warmup fails.
        RequestError: what is wrong with the request.
    """
    return asyncio.run(_draw_once(resolved, ask, image, chosen, loaded, step))


async def _draw_once(
    resolved: Resolved,
    ask: Ask,
    image: bytes | None,
    chosen: str | None,
    loaded: Callable[[], None],
    step: Step,
) -> tuple[Drawn, str]:
    settings, state = resolved.settings, ServerState()
    metrics, pool = Metrics(CollectorRegistry()), EncodePool(settings.encode_threads)
    role = Monolith(resolved, state, metrics, pool)
    serving = Serving(settings=settings, state=state, role=role, metrics=metrics, pool=pool)
    me = asyncio.current_task()
    assert me is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, me.cancel)
    try:
        state.enter(State.LOADING)
        role.spawn()
        await role.load()
        state.enter(State.READY)
        loaded()
        wanted = role.prepare(_with_image(ask, image, settings.max_pixels))
        chosen = output_format(wanted.task, chosen, settings)
        if chosen == "raw":
            raise InvalidRequest("output_format", "raw has no files; name --output")
        return await draw(serving, wanted, chosen, watch=Watch(on_step=step)), chosen
    finally:
        await role.close()
        pool.close()


def _with_image(ask: Ask, image: bytes | None, max_pixels: int) -> Ask:
    if image is None:
        return ask
    parameters: Any = ask.parameters
    size = (parameters.get("width"), parameters.get("height"))
    pixels = decode_picture(image, "image", max_pixels, size)
    return Ask(ask.prompts, ask.negative_prompts, (pixels,), parameters=parameters)
