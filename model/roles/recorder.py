"""Keep the report and the gauges up to date while a plan runs (W26)."""

from collections.abc import Callable

from ..contract.generation import GenerationRequest
from ..telemetry.metrics import Metrics
from ..warmup.report import ShapeReport, WarmupReport
from ..warmup.runner import Progress


class Recorder(Progress):
    """``remember`` takes the report whenever it has grown."""

    def __init__(self, metrics: Metrics, remember: Callable[[WarmupReport], None]) -> None:
        self._metrics = metrics
        self._remember = remember

    def shape_started(self, request: GenerationRequest, report: WarmupReport) -> None:
        self._remember(report)
        self._metrics.warmup_planned.set(report.of)
        self._metrics.warmup_done.set(report.done)

    def pass_done(self, request: GenerationRequest, number: int, seconds: float) -> None:
        gauge = self._metrics.warmup_pass
        gauge.labels(str(request.shape), str(number)).set(seconds)

    def shape_done(self, shape: ShapeReport, report: WarmupReport) -> None:
        self._remember(report)
        self._metrics.warmup_done.set(report.done)
        self._metrics.warmup_degraded.set(report.degraded_shapes)
        if shape.first_over_steady is not None:
            gauge = self._metrics.first_over_steady
            gauge.labels(str(shape.shape)).set(shape.first_over_steady)
