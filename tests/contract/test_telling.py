"""C05: the operator reads what the server's own report says."""

import json

from controller.telling import Told, read_told
from model.contract.sampling import Shape, Task
from model.contract.state import State
from model.contract.warmup import WarmupMode
from model.warmup.report import ShapeReport, WarmupReport


def shape(width: int) -> Shape:
    return Shape(Task.TEXT_TO_IMAGE, width, 512, batch=1, cfg=True)


def test_c05_a_report_of_the_server_is_understood() -> None:
    report = WarmupReport(
        mode=WarmupMode.SERVER,
        reason="default",
        of=4,
        seconds=31.26,
        engines=2,
        shapes=(
            ShapeReport(shape(512), 2, (2.0, 1.0), engine=0),
            ShapeReport(shape(512), 2, (2.0, 1.0), engine=1),
            ShapeReport(shape(384), 2, (2.0, 1.0), engine=0, asked=shape(768)),
            ShapeReport(shape(768), 2, (), engine=1, failure="no memory"),
        ),
    )
    text = json.dumps(
        {"state": State.READY, "degraded": report.degraded, "warmup": report.as_json()}
    )
    assert report.degraded
    assert read_told(text.encode()) == Told(
        State.READY, 4, 4, 31.3, (str(shape(512)),), degraded=report.degraded
    )
