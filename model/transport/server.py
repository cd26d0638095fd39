"""The receiving half: a role's pod takes stages over gRPC and hands them to what computes them."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, Never

import grpc
from grpc.aio import EOF  # type: ignore[attr-defined]

from ..contract.description import write_description
from ..contract.state import State
from ..contract.wire import READABLE_VERSIONS
from ..errors import (
    BadTransfer,
    DeadlineExceeded,
    GenerationFailed,
    NotReady,
    QueueFull,
    ReplicaReplaced,
    RequestError,
    RevisionMismatch,
)
from ..telemetry.logs import get_logger
from .calling import AUTHORIZATION, INSTANCE, SERVICE, Security, chunks, traced
from .payload import Arrival, Bounds, Payload, pack, write_header
from .protocol import Identity, StageRequest, StageRunner
from .stages_pb2 import Answered, DescribeRequest, Description, Progress, Sent
from .statuses import details

log = get_logger(__name__)

RETRY_SECONDS: Final = 1.0


class StageService:
    """Put ``handler()`` into a gRPC server. ``identity``, ``state``: of the server now, which knows
    its model's revision once that is loaded. ``security``: what callers show. ``most``: stages that
    may be here at once, counted from their first byte. ``longest``: seconds a stage may take when
    its caller names no deadline, and the most it may name.
    """

    def __init__(
        self,
        identity: Callable[[], Identity],
        runner: StageRunner,
        state: Callable[[], State],
        bounds: Bounds,
        security: Security,
        most: int,
        longest: float,
    ) -> None:
        self._who = identity
        self._runner = runner
        self._state = state
        self._bounds = bounds
        self.security = security
        self._most = most
        self._longest = longest
        self._here = 0

    @property
    def _identity(self) -> Identity:
        return self._who()

    @property
    def here(self) -> int:
        """Stages that came and did not leave."""
        return self._here

    def handler(self) -> Any:
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Run": grpc.stream_stream_rpc_method_handler(
                    self._run, Sent.FromString, Answered.SerializeToString
                ),
                "Describe": grpc.unary_unary_rpc_method_handler(
                    self._describe, DescribeRequest.FromString, Description.SerializeToString
                ),
            },
        )

    async def _describe(self, _: DescribeRequest, context: Any) -> Description:
        try:
            self.security.check(_shown(context).get(AUTHORIZATION, ""))
        except RequestError as error:
            await _abort(context, error)
        who = self._identity
        return Description(
            instance=who.instance,
            role=who.role,
            model=who.model,
            revision=who.revision,
            wire_versions=READABLE_VERSIONS,
            state=self._state(),
            about=write_description(who.about) if who.about else b"",
        )

    async def _run(self, _: Any, context: Any) -> None:
        """One stage. gRPC cancels this task when the caller goes away, or its deadline passes."""
        self._here += 1
        try:
            async with asyncio.timeout(self._seconds(context)):
                await self._answer(context)
        except RequestError as error:
            await _abort(context, error)
        except TimeoutError:
            await _abort(context, DeadlineExceeded(f"the {self._identity.role} was too slow"))
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            log.error("stage_failed", stage=self._identity.stage, exc_info=error)
            told = f"internal error in the {self._identity.role}; its log has it"
            await _abort(context, GenerationFailed(told))
        finally:
            self._here -= 1

    async def _answer(self, context: Any) -> None:
        shown = _shown(context)
        # Read before anything is refused: a caller whose first message fails cannot tell why.
        first = await context.read()
        self._admit(shown)
        payload = await self._receive(first, context)
        deadline = time.monotonic() + self._seconds(context)
        request = StageRequest(payload, deadline, traced(shown))
        steps = _Steps()
        work = asyncio.ensure_future(self._runner.run(request, steps.note))
        try:
            while not work.done():
                changed = asyncio.ensure_future(steps.changed.wait())
                await asyncio.wait({work, changed}, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                if steps.changed.is_set():
                    await context.write(Answered(progress=steps.take()))
        finally:
            if not work.done():
                work.cancel()
                await asyncio.wait({work})
        result = work.result()
        header = payload.header
        answer = pack(
            header.stage,
            header.request_id,
            result.data,
            result.facts,
            revision=self._identity.revision,
            warmup=header.warmup,
        )
        head, *others = chunks(answer.data)
        await context.write(Answered(header=write_header(answer.header), chunk=head))
        for each in others:
            await context.write(Answered(chunk=each))

    def _admit(self, shown: dict[str, Any]) -> None:
        """
        Raises:
            RequestError: whatever its message says.
        """
        self.security.check(shown.get(AUTHORIZATION, ""))
        meant = shown.get(INSTANCE, "")
        if meant and meant != self._identity.instance:
            raise ReplicaReplaced("another process answers at this address now")
        state = self._state()
        # Draining ones serve: their callers are yet to notice.
        if state not in (State.READY, State.DRAINING):
            raise NotReady(
                f"the {self._identity.role} is {state}", RETRY_SECONDS, {"state": str(state)}
            )
        if self._here > self._most:
            raise QueueFull(self._most, RETRY_SECONDS)

    async def _receive(self, first: Any, context: Any) -> Payload:
        if first is EOF or not first.header:
            raise BadTransfer("header: the stream does not begin with one")
        arrival = Arrival(first.header, self._bounds)
        header, who = arrival.header, self._identity
        if header.stage is not who.stage:
            raise BadTransfer(f"stage: this replica is a {who.role}, and was sent {header.stage}")
        if header.revision not in ("", who.revision):
            raise RevisionMismatch(header.revision, who.revision)
        arrival.add(first.chunk)
        if not arrival.whole:
            await context.write(Answered(accepted=True))
        while not arrival.whole and (message := await context.read()) is not EOF:
            if message.header or not message.chunk:
                raise BadTransfer("chunk: none came where one had to")
            arrival.add(message.chunk)
        return arrival.complete()

    def _seconds(self, context: Any) -> float:
        left = context.time_remaining()
        return self._longest if left is None else max(0.0, min(float(left), self._longest))


class _Steps:
    """The latest step that was not told yet: a slow reader skips steps, and nothing piles up."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self._latest = (0, 0)

    def note(self, step: int, of: int) -> None:
        self._latest = (step, of)
        self.changed.set()

    def take(self) -> Progress:
        self.changed.clear()
        step, of = self._latest
        return Progress(step=step, of=of)


def _shown(context: Any) -> dict[str, Any]:
    return {str(key): value for key, value in context.invocation_metadata() or ()}


async def _abort(context: Any, error: RequestError) -> Never:
    await context.abort(grpc.StatusCode[error.grpc_code], str(error), details(error))
    raise error  # abort() raises; this tells the type checker
