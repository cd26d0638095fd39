"""Note the trace of each REST request, before anything is done for it."""

from starlette.types import ASGIApp, Receive, Scope, Send

from ..telemetry.tracing import enter_trace


class Traced:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = scope["headers"]
            enter_trace((name.decode("latin-1"), text.decode("latin-1")) for name, text in headers)
        await self._app(scope, receive, send)
