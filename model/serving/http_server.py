"""The REST port: uvicorn without its signal handlers, on a socket that is bound before anything
else happens.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Final

import uvicorn
from fastapi import FastAPI

from ..errors import PortInUse
from ..settings import Settings

POLL_SECONDS: Final = 0.02
# Longer than those before a server keep theirs (nginx and the balancers of the clouds: 60 s): who
# closes an idle connection first never finds a request on its way.
KEEP_ALIVE_SECONDS: Final = 75


def bind(settings: Settings) -> socket.socket:
    """Take the REST port, and make sure that the gRPC port is free.

    Raises:
        PortInUse: naming the flag to change.
    """
    if settings.enable_grpc and settings.grpc_port:
        _bound(settings.host, settings.grpc_port, "gRPC", "--grpc-port").close()
    return _bound(settings.host, settings.http_port, "HTTP", "--http-port")


def _bound(host: str, port: int, what: str, flag: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named TCP: asyncio switches the delay of small packets off for no other socket.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(1024)
    except OSError as error:
        bound.close()
        raise PortInUse(
            f"the {what} port {port} on {host} cannot be opened ({error.strerror}); choose another "
            f"by {flag}"
        ) from error
    return bound


class HttpServer(uvicorn.Server):
    """``up`` is set once the port answers. Our own signal handlers decide when it ends."""

    def __init__(self, app: FastAPI, settings: Settings) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=int(settings.drain_timeout) + 1,
                ssl_certfile=settings.ssl_certfile,
                ssl_keyfile=settings.ssl_keyfile,
            )
        )

        self.up = asyncio.Event()
        self._late: set[asyncio.Future[object]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    def refuse_connections(self, listening: socket.socket) -> None:
        """At once, and before anybody who is connected is told to go: who comes back must find
        another server. Those who are in stay, and so do those who wait at the door, whom the
        system would throw out with their requests sent.
        """
        if listening.fileno() < 0:
            return  # it has ended before
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)
        with contextlib.suppress(BlockingIOError):
            while True:
                let_in, _ = listening.accept()
                let_in.setblocking(False)
                joining = loop.connect_accepted_socket(self._protocol, let_in, ssl=self.config.ssl)
                self._late.add(asyncio.ensure_future(joining))
        listening.shutdown(socket.SHUT_RDWR)

    def _protocol(self) -> asyncio.Protocol:
        """Of one more connection, as uvicorn makes it."""
        made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made

    async def deserted(self, seconds: float) -> None:
        """Return when nobody is connected any more, or after ``seconds``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.server_state.connections:  # noqa: ASYNC110 - a set, and uvicorn's
                    await asyncio.sleep(POLL_SECONDS)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
