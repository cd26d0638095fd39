"""Show the run of a plan (W26): a progress bar on a terminal, one log event a shape otherwise."""

import sys
from typing import Any

from ..contract.generation import GenerationRequest
from ..telemetry.logs import get_logger
from .report import ShapeReport, WarmupReport
from .runner import MOST_PASSES, Progress

log = get_logger(__name__)


class LogProgress:
    """``1/3 shape seconds``, as events."""

    def shape_started(self, request: GenerationRequest, report: WarmupReport) -> None:
        log.debug("warmup_shape_started", number=f"{report.done + 1}/{report.of}",
                  shape=str(request.shape))  # fmt: skip

    def pass_done(self, request: GenerationRequest, number: int, seconds: float) -> None:
        log.debug("warmup_pass", shape=str(request.shape), number=number, seconds=seconds)

    def shape_done(self, shape: ShapeReport, report: WarmupReport) -> None:
        log.info(
            "warmup_shape",
            number=f"{report.done}/{report.of}",
            shape=str(shape.shape),
            engine=shape.engine,
            seconds=round(sum(shape.passes), 3),
            passes=[round(each, 3) for each in shape.passes],
            first_over_steady=shape.first_over_steady,
            failure=shape.failure,
            asked=str(shape.asked) if shape.asked else None,
        )


class BarProgress:
    """A bar that moves with every pass."""

    def __init__(self) -> None:
        # rich takes a tenth of a second to import, and only a terminal needs it.
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._bar: Any = Progress(
            TextColumn("Warming up"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} {task.description}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )
        self._task: Any = None

    def shape_started(self, request: GenerationRequest, report: WarmupReport) -> None:
        if self._task is None:
            self._bar.start()
            self._task = self._bar.add_task("", total=report.of)
        self._bar.update(self._task, completed=report.done, description=str(request.shape))

    def pass_done(self, request: GenerationRequest, number: int, seconds: float) -> None:
        self._bar.update(
            self._task,
            advance=1 / (MOST_PASSES + 1),
            description=f"{request.shape}: pass {number}, {seconds:.2f} s",
        )

    def shape_done(self, shape: ShapeReport, report: WarmupReport) -> None:
        passes = " ".join(f"{each:.2f}" for each in shape.passes)
        self._bar.update(
            self._task, completed=report.done, description=f"{shape.shape}: {passes} s"
        )
        if report.done == report.of or shape.failure:
            self._bar.stop()


class Several:
    """Tells each of several."""

    def __init__(self, *listeners: Progress) -> None:
        self._listeners = listeners

    def shape_started(self, request: GenerationRequest, report: WarmupReport) -> None:
        for each in self._listeners:
            each.shape_started(request, report)

    def pass_done(self, request: GenerationRequest, number: int, seconds: float) -> None:
        for each in self._listeners:
            each.pass_done(request, number, seconds)

    def shape_done(self, shape: ShapeReport, report: WarmupReport) -> None:
        for each in self._listeners:
            each.shape_done(shape, report)


def visible_progress() -> Progress:
    """The bar where somebody watches, the log where nobody does."""
    return BarProgress() if sys.stderr.isatty() else LogProgress()
