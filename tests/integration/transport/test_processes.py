"""Stages between real processes: they die, freeze, and are cancelled in the middle."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from model.contract.roles import Role
from model.errors import DeadlineExceeded, NoReplica, ReplicaLost, TokenRefused
from model.transport.addresses import Listed
from model.transport.calling import CHANNEL_OPTIONS, CHUNK_BYTES, KEEPALIVE_MS, Security
from model.transport.pool import Pool, PoolOptions
from model.transport.replica import Replica
from tests.integration.support.certificates import self_signed
from tests.integration.support.stages import StageProcess
from tests.unit.model.transport.support import (
    BOUNDS,
    INVERSE,
    OPEN,
    SOON,
    a_client,
    a_payload,
    content,
    until,
)


@pytest.fixture
def pair() -> Iterator[tuple[StageProcess, StageProcess]]:
    one, other = StageProcess(), StageProcess()
    with one, other:
        yield one, other


@pytest.fixture(scope="module")
def shared() -> Iterator[StageProcess]:
    """Left as it was."""
    with StageProcess() as running:
        yield running


@contextlib.asynccontextmanager
async def pool_of(*replicas: StageProcess, **options: Any) -> Any:
    async def prove(replica: Replica) -> None:
        await replica.run(a_payload(request_id="warmup"))

    listed = Listed(frozenset(each.address for each in replicas))
    given = {"check_seconds": 0.05, "wait_seconds": SOON, **options}
    pool = Pool(Role.DENOISER, listed, prove, PoolOptions(BOUNDS, OPEN, **given))
    watching = asyncio.create_task(pool.watch())
    try:
        await until(
            lambda: sum(each.state == "proven" for each in pool.reports()) == len(replicas),
            "the warmup of all",
        )
        yield pool
    finally:
        watching.cancel()
        await asyncio.wait({watching})


async def told_of_a_step(
    pair: tuple[StageProcess, StageProcess],
) -> tuple[StageProcess, StageProcess]:
    """Wait until one of the two has done the first step of the user's stage; it is first."""
    async with asyncio.timeout(SOON):
        while True:
            for one, other in (pair, pair[::-1]):
                if one.has_told("step", whose="r", step=1):
                    return one, other
            await asyncio.sleep(0.01)


async def test_a_replica_that_is_killed_in_mid_stage(
    pair: tuple[StageProcess, StageProcess],
) -> None:
    steps: list[int] = []
    async with pool_of(*pair) as pool:
        work = asyncio.create_task(
            pool.run(a_payload(bytes(3 * CHUNK_BYTES), steps=3, hold_at=2),
                     on_step=lambda step, of: steps.append(step))
        )  # fmt: skip
        broken, left = await told_of_a_step(pair)
        broken.kill()
        left.order("release")
        assert content(await asyncio.wait_for(work, SOON)) == bytes(3 * CHUNK_BYTES).translate(
            INVERSE
        )
        assert steps[-1] == 3


async def test_the_caller_itself_learns_of_a_kill() -> None:
    with StageProcess() as running:
        client = a_client(running)
        work = asyncio.create_task(client.run(a_payload(steps=3, hold_at=2)))
        await asyncio.to_thread(running.wait, "step", step=1)
        running.kill()
        with pytest.raises(ReplicaLost) as lost:
            await asyncio.wait_for(work, SOON)
        assert lost.value.retry_after
        await client.close()


async def test_a_caller_that_goes_away_stops_the_stage_within_a_step(shared: StageProcess) -> None:
    client = a_client(shared)
    work = asyncio.create_task(client.run(a_payload(request_id="gone", steps=9, hold_at=4)))
    await asyncio.to_thread(shared.wait, "step", whose="gone", step=3)
    work.cancel()
    told = await asyncio.to_thread(shared.wait, "cancelled", whose="gone")
    assert told["step"] == 4
    await client.close()


async def test_a_deadline_crosses(shared: StageProcess) -> None:
    client = a_client(shared)
    with pytest.raises(DeadlineExceeded):
        await client.run(
            a_payload(request_id="late", steps=2, hold_at=2),
            deadline=asyncio.get_running_loop().time() + 1,
        )
    await asyncio.to_thread(shared.wait, "cancelled", whose="late", step=2)
    await client.close()


async def test_a_frozen_replica_is_taken_out_and_its_stage_done_elsewhere(
    pair: tuple[StageProcess, StageProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As behind a cut cable: nobody says that it is gone, only that nothing comes any more."""
    monkeypatch.setattr("model.transport.replica.LOOK_SECONDS", 0.5)
    hastened = [
        (name, 500) if value == KEEPALIVE_MS else (name, value) for name, value in CHANNEL_OPTIONS
    ]
    monkeypatch.setattr("model.transport.calling.CHANNEL_OPTIONS", hastened)
    async with pool_of(*pair) as pool:
        work = asyncio.create_task(pool.run(a_payload(steps=3, hold_at=2)))
        frozen, left = await told_of_a_step(pair)
        frozen.freeze()
        left.order("release")
        assert content(await asyncio.wait_for(work, SOON)) == b"fox".translate(INVERSE)
        for _ in range(4):
            await pool.run(a_payload())
        (report,) = [each for each in pool.reports() if not each.serving]
        assert report.address == str(frozen.address)


async def test_all_killed_is_a_503_until_one_is_back(
    pair: tuple[StageProcess, StageProcess],
) -> None:
    async with pool_of(*pair, wait_seconds=0.2) as pool:
        for each in pair:
            each.kill()
        with pytest.raises((NoReplica, ReplicaLost)) as refused:
            await pool.run(a_payload())
        assert refused.value.http_status == 503
        assert refused.value.retry_after
        with StageProcess("--port", str(pair[0].port)) as again:
            await until(lambda: pool.ready, "the recovery")
            assert content(await pool.run(a_payload())) == b"fox".translate(INVERSE)
            again.wait("step", whose="warmup")
            again.wait("step", whose="r")


async def test_tls_and_a_token_between_processes(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path, dns="localhost")
    token = tmp_path / "token"
    token.write_text("fox\n")
    flags = ("--certificate", str(certificate), "--key", str(key), "--token-file", str(token))
    with StageProcess(*flags) as running:
        trusted = a_client(running, Security.read(token, certificate))
        assert content(await trusted.run(a_payload())) == b"fox".translate(INVERSE)
        assert await trusted.serving(5)
        await trusted.close()

        stranger = a_client(running, Security((), certificate.read_bytes()))
        # Whatever is refused must not overtake the write: gRPC would not tell why it failed.
        for _ in range(20):
            with pytest.raises(TokenRefused):
                await stranger.run(a_payload(bytes(CHUNK_BYTES - 200)))
        await stranger.close()

        in_the_clear = a_client(running, Security((b"fox",)))
        with pytest.raises(ReplicaLost):
            await in_the_clear.run(a_payload())
        await in_the_clear.close()

        other, _ = self_signed(tmp_path / "other", dns="localhost")
        misled = a_client(running, Security((b"fox",), other.read_bytes()))
        with pytest.raises(ReplicaLost):
            await misled.run(a_payload())
        await misled.close()
