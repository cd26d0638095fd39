"""Stages at a role's gRPC port: who may send them, how many, and how they are counted."""

from ..roles.stage_worker import StageWorker
from ..telemetry.metrics import Metrics
from ..telemetry.tracing import trace_id
from ..transport.configured import bounds, security
from ..transport.protocol import OnStep, StageRequest, StageResult, StageRunner
from ..transport.server import StageService
from .context import Serving
from .outcomes import counted


def stages_of(serving: Serving) -> StageService | None:
    """None where the server plays no role of a chain.

    Raises:
        InvalidSettings: a token's file that holds nothing of use.
    """
    worker, settings = serving.role, serving.settings
    if not isinstance(worker, StageWorker):
        return None
    return StageService(
        lambda: worker.identity,
        Counted(worker, serving.metrics),
        lambda: serving.state.current,
        bounds(settings),
        security(settings),
        # One is computed, the others wait for it.
        most=settings.queue_size + 1,
        longest=settings.request_timeout,
    )


class Counted:
    """A runner, with its stages in the metrics and in the log, each with the id of its request."""

    def __init__(self, runner: StageRunner, metrics: Metrics) -> None:
        self._runner = runner
        self._metrics = metrics

    async def run(self, request: StageRequest, on_step: OnStep) -> StageResult:
        """As the runner's."""
        header = request.payload.header
        if header.warmup:  # W28
            return await self._runner.run(request, on_step)
        with counted(self._metrics, "stages") as line:
            line.update(stage=str(header.stage), request_id=header.request_id)
            line.update(trace_id(request.trace))
            return await self._runner.run(request, on_step)
