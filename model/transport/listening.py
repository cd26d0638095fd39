"""A gRPC port, with ``grpc.health.v1`` beside whatever it serves."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from ..contract.state import State
from ..errors import PortInUse
from .health import Health


@dataclass(frozen=True, slots=True)
class PortOptions:
    """``names``: of what it serves, for ``grpc.health.v1``. ``channel``: gRPC's own options.
    ``credentials``: gRPC's; without them, it speaks in the clear.
    """

    names: tuple[str, ...]
    channel: Sequence[tuple[str, Any]]
    credentials: Any = None
    interceptors: tuple[Any, ...] = ()


class GrpcPort:
    """Start, follow the state, stop. Before it starts, services are put into ``server``."""

    def __init__(self, options: PortOptions) -> None:
        self._names = ("", *options.names)
        self._credentials = options.credentials
        self._health = Health()
        self.server = grpc.aio.server(
            interceptors=options.interceptors, options=list(options.channel)
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.server)

    def serving(self, *handlers: Any) -> Self:
        """The port, with these generic handlers in it."""
        self.server.add_generic_rpc_handlers(handlers)
        return self

    async def start(self, host: str, port: int, state: State) -> int:
        """Open the port; return its number.

        Raises:
            PortInUse: somebody else has it.
        """
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            opened = (
                self.server.add_secure_port(address, self._credentials)
                if self._credentials
                else self.server.add_insecure_port(address)
            )
        except RuntimeError as error:
            raise PortInUse(
                f"the gRPC port {port} is in use; choose another by --grpc-port"
            ) from error
        await self.follow(state)
        await self.server.start()
        return int(opened)

    async def follow(self, state: State) -> None:
        """Tell ``grpc.health.v1``. Anything but Ready gets nothing new."""
        serving = health_pb2.HealthCheckResponse.SERVING
        status = serving if state is State.READY else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in self._names:
            await self._health.set(name, status)

    async def stop(self, grace: float) -> None:
        """Refuse new calls; give running ones ``grace`` seconds."""
        self._health.end()
        await self.server.stop(grace)


def credentials(certificate: Path, key: Path) -> Any:
    """gRPC's, of PEM files."""
    return grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
