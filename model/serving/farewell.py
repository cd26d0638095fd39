"""Send users of a server that ends away, each with the answer to the request in hand.

A client may keep its connection for as long as it is let, and send the next request in the moment
in which the server closes it: that one would be lost. So each answer of a server that drains, or
that has failed, says that its connection ends with it, and the next request finds another server.
"""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..contract.state import State
from ..roles.server_state import ServerState

ENDING: Final = frozenset({State.DRAINING, State.FAILED, State.STOPPED})
CLOSE: Final = (b"connection", b"close")


class Farewell:
    """ASGI middleware. The state is read when the answer begins, not when its request came."""

    def __init__(self, app: ASGIApp, state: ServerState) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def say(message: Message) -> None:
            if message["type"] == "http.response.start" and self._state.current in ENDING:
                others = [each for each in message["headers"] if each[0].lower() != CLOSE[0]]
                message = {**message, "headers": [*others, CLOSE]}
            await send(message)

        await self._app(scope, receive, say)
