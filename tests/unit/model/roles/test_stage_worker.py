"""How a role's server uses its engine for stages: in what order, and for how long."""

import argparse
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from model.configuration.flags import add_flags
from model.configuration.resolve import resolve
from model.contract.generation import Timings
from model.contract.stages import StageOutcome, StageWork
from model.contract.wire import Stage
from model.errors import GenerationFailed
from model.roles.server_state import ServerState
from model.roles.stage_worker import StageWorker
from model.telemetry.metrics import Metrics
from model.transport.payload import pack
from model.transport.protocol import StageRequest
from model.transport.safetensors_index import write_index

NOTHING = write_index([])
LIMITS = ("--step-timeout", "5", "--warmup-request-timeout", "50")


class Engine:
    """Notes what it is told, and does nothing."""

    lost = None

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.fails = False

    async def load(self) -> Any:
        self.told.append("load")
        return SimpleNamespace(
            pipeline="P", device="cpu", dtype="float32", revision="v1", load_seconds={}
        )

    async def settle(self, settled: bool) -> int:
        self.told.append("settled" if settled else "unsettled")
        return 0

    async def run_stage(self, work: StageWork, *, limit: float, on_step: Any) -> StageOutcome:
        self.told.append(limit)
        if self.fails:
            raise GenerationFailed("no")
        return StageOutcome(work.id, {}, NOTHING, Timings())


def a_worker(*flags: str) -> tuple[StageWorker, Engine]:
    parser = argparse.ArgumentParser()
    add_flags(parser)
    resolved = resolve(parser.parse_args(["--role", "denoiser", *LIMITS, *flags]), {})
    worker: Any = StageWorker(resolved, ServerState(), Metrics(CollectorRegistry()))
    worker._engine = engine = Engine()
    return worker, engine


async def run(worker: StageWorker, *, warmup: bool = False) -> None:
    payload = pack(Stage.DENOISE, "a", NOTHING, {}, warmup=warmup)
    await worker.run(StageRequest(payload), lambda *_: None)


async def test_w40_a_denoiser_compiles_in_warmups_and_never_for_a_user() -> None:
    worker, engine = a_worker("--compile", "regional")
    await worker.load()
    await run(worker, warmup=True)
    await run(worker)
    assert engine.told == ["load", "unsettled", 50.0, "settled", 5.0]


async def test_w40_a_warmup_that_fails_leaves_it_so() -> None:
    worker, engine = a_worker("--compile", "regional")
    engine.fails = True
    with pytest.raises(GenerationFailed):
        await run(worker, warmup=True)
    assert engine.told == ["unsettled", 50.0, "settled"]


async def test_what_compiles_nothing_is_settled_once_it_is_loaded() -> None:
    worker, engine = a_worker()
    await worker.load()
    await run(worker, warmup=True)
    await run(worker)
    assert engine.told == ["load", "settled", 50.0, 5.0]


async def test_w44_what_it_is_is_told_once_it_is_loaded() -> None:
    worker, _ = a_worker("--model-name", "fox")
    before = worker.identity
    assert (before.model, before.revision, before.about) == ("fox", "", None)
    await worker.load()
    after = worker.identity
    assert (after.instance, after.revision) == (before.instance, "v1")
    assert after.about is worker.description
