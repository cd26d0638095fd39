"""The sending half: one replica's connection."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import grpc
from grpc.aio import EOF  # type: ignore[attr-defined]
from grpc_health.v1 import health_pb2

from ..contract.description import read_description
from ..contract.roles import Role
from ..contract.state import State
from ..errors import BadTransfer, DeadlineExceeded, ReplicaLost
from . import calling
from .addresses import Address
from .calling import CHUNK_BYTES, Security, chunks, metadata
from .payload import Arrival, Bounds, Payload, write_header
from .protocol import NO_TRACE, Description, Identity, OnStep
from .stages_pb2 import Answered, DescribeRequest, Sent
from .stages_pb2 import Description as Described
from .statuses import revived

HEALTH: Final = "/grpc.health.v1.Health/Check"


class StageClient:
    """A channel to one address. It connects by need, and again after every loss."""

    def __init__(self, address: Address, bounds: Bounds, security: Security) -> None:
        self.address = address
        self._bounds = bounds
        self._security = security
        self._channel = _channel(address, security)
        self._run = self._channel.stream_stream(
            calling.RUN, Sent.SerializeToString, Answered.FromString
        )
        self._describe = self._channel.unary_unary(
            calling.DESCRIBE, DescribeRequest.SerializeToString, Described.FromString
        )
        self._health = self._channel.unary_unary(
            HEALTH,
            health_pb2.HealthCheckRequest.SerializeToString,
            health_pb2.HealthCheckResponse.FromString,
        )

    async def close(self) -> None:
        """End the calls that still run, and the connection."""
        await self._channel.close()

    async def describe(self, seconds: float) -> Description:
        """Who answers here.

        Raises:
            RequestError: nobody, or nobody that talks to us.
        """
        try:
            found = await self._describe(
                DescribeRequest(), timeout=seconds, metadata=metadata(self._security)
            )
            about = read_description(found.about) if found.about else None
            return Description(
                Identity(Role(found.role), found.model, found.revision, found.instance, about),
                tuple(found.wire_versions),
                State(found.state),
            )
        except grpc.aio.AioRpcError as error:
            raise revived(error, str(self.address)) from error
        except ValueError as error:
            raise BadTransfer(f"{self.address}: {error}; it is of another release") from error

    async def serving(self, seconds: float) -> bool:
        """What ``grpc.health.v1`` says of the whole server; False, too, when nobody answers."""
        try:
            found = await self._health(health_pb2.HealthCheckRequest(), timeout=seconds)
        except grpc.aio.AioRpcError:
            return False
        return bool(found.status == health_pb2.HealthCheckResponse.SERVING)

    async def run(
        self,
        payload: Payload,
        *,
        deadline: float | None = None,
        instance: str = "",
        trace: Mapping[str, str] = NO_TRACE,
        on_step: OnStep = lambda step, of: None,
    ) -> Payload:
        """Send a stage, wait for its result. ``instance``: the process that is meant, and no other.
        Cancelling the caller stops the stage at its next step.

        Raises:
            RequestError: what the replica raised; ``ReplicaLost`` when it is gone.
        """
        seconds = None if deadline is None else deadline - time.monotonic()
        if seconds is not None and seconds <= 0:
            raise DeadlineExceeded(f"the deadline passed before {self.address} was asked")
        told = metadata(self._security, payload.header.request_id, instance, trace)
        call = self._run(timeout=seconds, metadata=told)
        try:
            await self._send(call, payload)
            return await self._receive(call, payload, on_step)
        except grpc.aio.AioRpcError as error:
            raise revived(error, str(self.address)) from error
        except (grpc.aio.UsageError, asyncio.InvalidStateError) as error:
            # The channel was closed, or the call ended while it was sending.
            raise ReplicaLost(f"{self.address}: {error}") from error
        finally:
            call.cancel()

    async def _send(self, call: Any, payload: Payload) -> None:
        parts = chunks(payload.data)
        await call.write(Sent(header=write_header(payload.header), chunk=next(parts)))
        if payload.header.size <= CHUNK_BYTES:
            return
        answer = await call.read()
        if answer is EOF or not answer.accepted:
            raise BadTransfer(f"{self.address}: an answer came before the payload was there")
        for each in parts:
            await call.write(Sent(chunk=each))

    async def _receive(self, call: Any, payload: Payload, on_step: OnStep) -> Payload:
        arrival: Arrival | None = None
        async for answer in _answers(call):
            if answer.HasField("progress"):
                on_step(answer.progress.step, answer.progress.of)
            elif answer.header and arrival is None:
                arrival = Arrival(answer.header, self._bounds)
                arrival.add(answer.chunk)
            elif answer.chunk and not answer.header and arrival is not None:
                arrival.add(answer.chunk)
            else:
                raise BadTransfer(f"{self.address}: an answer came that has no meaning here")
        if arrival is None:
            raise BadTransfer(f"{self.address}: the stream ended without a result")
        if arrival.header.request_id != payload.header.request_id:
            raise BadTransfer(f"{self.address}: request_id: the result is another request's")
        return arrival.complete()


async def _answers(call: Any) -> AsyncIterator[Any]:
    while (answer := await call.read()) is not EOF:
        yield answer


def _channel(address: Address, security: Security) -> Any:
    options: list[tuple[str, Any]] = list(calling.CHANNEL_OPTIONS)
    if security.roots is None:
        return grpc.aio.insecure_channel(address.target, options=options)
    # The certificate is the service's, not that of an address which changes with each pod.
    options.append(("grpc.ssl_target_name_override", address.name))
    credentials = grpc.ssl_channel_credentials(security.roots)
    return grpc.aio.secure_channel(address.target, credentials, options=options)
