"""A gRPC port of its own for stages, with ``grpc.health.v1`` beside them."""

from pathlib import Path
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from ..contract.state import State
from ..errors import PortInUse
from .calling import SERVER_OPTIONS, SERVICE
from .health import Health
from .server import StageService

SERVED: Final = ("", SERVICE)


class StageServer:
    """Start, follow the state, stop. ``certificate`` and ``key``: PEM files; without them, it
    speaks in the clear.
    """

    def __init__(
        self, service: StageService, certificate: Path | None = None, key: Path | None = None
    ) -> None:
        self._credentials: Any = None
        if certificate is not None and key is not None:
            pair = (key.read_bytes(), certificate.read_bytes())
            self._credentials = grpc.ssl_server_credentials([pair])
        self._health = Health()
        self._server = grpc.aio.server(options=list(SERVER_OPTIONS))
        self._server.add_generic_rpc_handlers((service.handler(),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)

    async def start(self, host: str, port: int, state: State) -> int:
        """Open the port; return its number.

        Raises:
            PortInUse: somebody else has it.
        """
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            opened = (
                self._server.add_secure_port(address, self._credentials)
                if self._credentials
                else self._server.add_insecure_port(address)
            )
        except RuntimeError as error:
            raise PortInUse(f"the port {port} for stages is in use; choose another") from error
        await self.follow(state)
        await self._server.start()
        return int(opened)

    async def follow(self, state: State) -> None:
        """Tell ``grpc.health.v1``. Anything but Ready gets no new stages."""
        serving = health_pb2.HealthCheckResponse.SERVING
        status = serving if state is State.READY else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in SERVED:
            await self._health.set(name, status)

    async def stop(self, grace: float) -> None:
        """Refuse new stages; give running ones ``grace`` seconds."""
        self._health.over.set()
        await self._server.stop(grace)
