"""W44 and routing: real replicas on the loopback, found by a list that the test changes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from model.contract.roles import Role
from model.contract.state import State
from model.contract.wire import Stage
from model.errors import (
    DeadlineExceeded,
    EngineLost,
    GenerationFailed,
    NoReplica,
    QueueFull,
    ReplicaLost,
)
from model.transport.addresses import Address, Named, Unresolved
from model.transport.calling import Security
from model.transport.payload import Payload, pack
from model.transport.pool import SILENT, Listener, Pool, PoolOptions
from model.transport.replica import Replica, ReplicaState
from tests.unit.model.transport.name_server import name_server
from tests.unit.model.transport.support import (
    BOUNDS,
    INVERSE,
    OPEN,
    SOON,
    StageHost,
    a_file,
    a_payload,
    content,
    until,
)

OPTIONS = PoolOptions(BOUNDS, OPEN, check_seconds=0.02, wait_seconds=SOON)


class Hosts:
    """Replicas that the test starts and ends, and where they are said to be."""

    def __init__(self, stack: contextlib.AsyncExitStack) -> None:
        self._stack = stack
        self.known: set[Address] = set()
        self.silent = False
        self.proven: list[str] = []
        self.broken: set[str] = set()

    async def now(self) -> frozenset[Address]:
        if self.silent:
            raise Unresolved("no DNS")
        return frozenset(self.known)

    async def start(self, *, port: int = 0, **options: Any) -> StageHost:
        host = await StageHost(**options).open(port)
        self._stack.push_async_callback(host.close)
        self.known.add(host.address)
        return host

    async def prove(self, replica: Replica) -> None:
        """As a router does: by a stage that is sent to this one alone."""
        if replica.instance in self.broken:
            raise GenerationFailed("NaN")
        await replica.run(a_payload(request_id=f"warmup {replica.instance}"))
        self.proven.append(replica.instance)


Watch = Callable[..., Awaitable[Pool]]


@pytest.fixture
async def hosts() -> AsyncIterator[Hosts]:
    async with contextlib.AsyncExitStack() as stack:
        yield Hosts(stack)


@pytest.fixture
async def watch(hosts: Hosts) -> AsyncIterator[Watch]:
    async with contextlib.AsyncExitStack() as stack:

        async def start(
            addresses: Any = hosts, listener: Listener = SILENT, **options: Any
        ) -> Pool:
            given = replace(OPTIONS, **options)
            pool = Pool(Role.DENOISER, addresses, hosts.prove, given, listener)
            watching = asyncio.create_task(pool.watch())

            async def end() -> None:
                watching.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watching

            stack.push_async_callback(end)
            return pool

        yield start


async def ready(pool: Pool, count: int = 1) -> None:
    await until(lambda: len(states(pool, ReplicaState.PROVEN)) == count, f"{count} proven")


def states(pool: Pool, state: ReplicaState) -> list[str]:
    return [each.address for each in pool.reports() if each.state is state and each.serving]


def users(host: StageHost) -> list[str]:
    """The requests that were no warmup."""
    ids = [each.payload.header.request_id for each in host.runner.requests]
    return [each for each in ids if not each.startswith("warmup")]


async def gathered(*work: Awaitable[Payload]) -> list[Payload]:
    async with asyncio.timeout(SOON):
        return list(await asyncio.gather(*work))


async def test_w44_a_replica_gets_its_warmup_before_traffic(hosts: Hosts, watch: Watch) -> None:
    host = await hosts.start()
    pool = await watch()
    assert content(await pool.run(a_payload())) == b"fox".translate(INVERSE)
    ids = [each.payload.header.request_id for each in host.runner.requests]
    assert ids == [f"warmup {host.identity.instance}", "r"]


async def test_w44_one_that_appears_later_too(hosts: Hosts, watch: Watch) -> None:
    await hosts.start()
    pool = await watch()
    await ready(pool)
    later = await hosts.start()
    await ready(pool, 2)
    assert users(later) == []
    assert len(later.runner.requests) == 1


async def test_w44_one_that_fails_it_is_kept_out_and_shown(hosts: Hosts, watch: Watch) -> None:
    good, bad = await hosts.start(), await hosts.start()
    hosts.broken.add(bad.identity.instance)
    pool = await watch()
    await ready(pool)
    await until(lambda: states(pool, ReplicaState.FAILED), "the failure")
    await gathered(*(pool.run(a_payload(request_id=str(n))) for n in range(8)))
    assert len(users(good)) == 8
    assert users(bad) == []
    (report,) = [each for each in pool.reports() if each.state is ReplicaState.FAILED]
    assert report.address == str(bad.address)
    assert report.reason == "its warmup failed: NaN"


async def test_w44_a_failed_one_is_tried_again(
    hosts: Hosts, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.transport.pool.PROVE_AGAIN_SECONDS", 0.01)
    host = await hosts.start()
    hosts.broken.add(host.identity.instance)
    pool = await watch()
    await until(lambda: states(pool, ReplicaState.FAILED), "the failure")
    hosts.broken.clear()
    await ready(pool)


async def test_w44_another_process_at_the_address_is_unproven(hosts: Hosts, watch: Watch) -> None:
    """Before anybody noticed, too: the stage names the process that it is for."""
    first = await hosts.start()
    pool = await watch(check_seconds=600)
    await ready(pool)
    await first.close()
    second = await hosts.start(port=first.port)
    await pool.run(a_payload())
    ids = [each.payload.header.request_id for each in second.runner.requests]
    assert ids == [f"warmup {second.identity.instance}", "r"]
    assert hosts.proven == [first.identity.instance, second.identity.instance]


async def test_w44_not_ready_gets_no_traffic_and_needs_no_new_warmup_after(
    hosts: Hosts, watch: Watch
) -> None:
    one, other = await hosts.start(), await hosts.start()
    pool = await watch()
    await ready(pool, 2)
    await one.become(State.DRAINING)
    await until(lambda: len(states(pool, ReplicaState.PROVEN)) == 1, "the drain to be seen")
    await gathered(*(pool.run(a_payload(request_id=str(n))) for n in range(4)))
    assert (len(users(one)), len(users(other))) == (0, 4)
    (report,) = [each for each in pool.reports() if not each.serving]
    assert report.reason == "it is draining"
    await one.become(State.READY)
    await ready(pool, 2)
    assert len(hosts.proven) == 2
    assert {each.reason for each in pool.reports()} == {""}


async def test_what_dns_no_longer_has_finishes_its_work(hosts: Hosts, watch: Watch) -> None:
    host = await hosts.start()
    pool = await watch()
    await ready(pool)
    held = asyncio.create_task(pool.run(a_payload(hold_at=1)))
    await until(lambda: host.runner.running, "the stage")
    hosts.known.clear()
    await until(
        lambda: [(each.state, each.running) for each in pool.reports()] == [("gone", 1)],
        "the replica's end",
    )
    assert not pool.ready
    host.runner.released.set()
    assert content(await held) == b"fox".translate(INVERSE)
    await until(lambda: not pool.reports(), "nothing is left of it")
    hosts.known.add(host.address)
    await ready(pool)
    assert len(hosts.proven) == 1, "it is the same process, and was warm"


async def test_who_is_busy_is_waited_for_until_the_deadline(hosts: Hosts, watch: Watch) -> None:
    """Longer than for somebody who may never come."""
    host = await hosts.start()
    pool = await watch(most_each=1, wait_seconds=0.1)
    await ready(pool)
    held = asyncio.create_task(pool.run(a_payload(request_id="first", hold_at=1)))
    await until(lambda: host.runner.running, "the first stage")
    soon = asyncio.get_running_loop().time() + 0.4
    with pytest.raises(DeadlineExceeded):
        await pool.run(a_payload(), deadline=soon)
    patient = asyncio.create_task(pool.run(a_payload(request_id="second"), deadline=soon + SOON))
    host.runner.released.set()
    await asyncio.gather(held, patient)


async def test_who_waits_for_a_busy_one_hears_in_time_when_it_is_gone(
    hosts: Hosts, watch: Watch
) -> None:
    host = await hosts.start()
    pool = await watch(most_each=1, wait_seconds=0.1)
    await ready(pool)
    held = asyncio.create_task(pool.run(a_payload(hold_at=1)))
    await until(lambda: host.runner.running, "the first stage")
    waiting = asyncio.create_task(
        pool.run(a_payload(), deadline=asyncio.get_running_loop().time() + SOON)
    )
    await asyncio.sleep(0)
    await host.become(State.DRAINING)
    with pytest.raises(NoReplica):
        await waiting
    held.cancel()


async def test_who_listens_hears_of_changes_and_losses(hosts: Hosts, watch: Watch) -> None:
    one, other = await hosts.start(), await hosts.start()
    heard: list[str] = []
    listener = Listener(lambda: heard.append("changed"), lambda: heard.append("lost"))
    pool = await watch(listener=listener)
    await until(lambda: pool.usable == 2, "both")
    assert "changed" in heard
    assert "lost" not in heard
    for each in (one, other):
        each.runner.errors["r"] = EngineLost("broken")
    with pytest.raises(EngineLost):
        await pool.run(a_payload())
    assert heard.count("lost") == 1


async def test_what_failed_is_proven_again_at_once_where_the_measure_has_changed(
    hosts: Hosts, watch: Watch
) -> None:
    host = await hosts.start()
    hosts.broken.add(host.identity.instance)
    pool = await watch()
    await until(lambda: states(pool, ReplicaState.FAILED), "the failure")
    hosts.broken.clear()
    pool.reconsider()
    await until(lambda: pool.ready, "the second proof")


async def test_a_dns_that_fails_takes_nobody_away(hosts: Hosts, watch: Watch) -> None:
    await hosts.start()
    pool = await watch()
    await ready(pool)
    hosts.silent = True
    hosts.known.clear()
    await pool.run(a_payload())
    hosts.silent = False
    await until(lambda: not pool.reports(), "the replica's end")


async def test_replicas_of_a_name_come_and_go(hosts: Hosts, watch: Watch) -> None:
    """By real DNS."""
    async with name_server() as names:
        host = await hosts.start()
        pool = await watch(Named("fox.models", host.port, names.resolver()))
        waiting = asyncio.create_task(pool.run(a_payload()))
        names.zone["fox.models"] = ["127.0.0.1"]
        assert content(await waiting) == b"fox".translate(INVERSE)
        names.zone["fox.models"] = []
        await until(lambda: not pool.reports(), "the replica's end")


async def test_nobody_at_all(hosts: Hosts, watch: Watch) -> None:
    pool = await watch(wait_seconds=0.05)
    with pytest.raises(NoReplica, match="no denoiser can take the work: there is none"):
        await pool.run(a_payload())


async def test_the_least_busy_one_gets_the_work(hosts: Hosts, watch: Watch) -> None:
    one, other = await hosts.start(), await hosts.start()
    pool = await watch()
    await ready(pool, 2)
    heavy = asyncio.create_task(pool.run(a_payload(request_id="heavy", hold_at=1), cost=10))
    await until(lambda: one.runner.running + other.runner.running, "the heavy one")
    light = [
        asyncio.create_task(pool.run(a_payload(request_id=str(n), hold_at=1), cost=2))
        for n in range(4)
    ]
    await until(lambda: one.runner.running + other.runner.running == 5, "all of them")
    assert sorted((one.runner.running, other.runner.running)) == [1, 4]
    for host in (one, other):
        host.runner.released.set()
    await gathered(heavy, *light)


async def test_equals_take_turns(hosts: Hosts, watch: Watch) -> None:
    one, other = await hosts.start(), await hosts.start()
    pool = await watch()
    await ready(pool, 2)
    for n in range(6):
        await pool.run(a_payload(request_id=str(n)))
    assert (len(users(one)), len(users(other))) == (3, 3)


@pytest.mark.parametrize("error", [EngineLost("its engine died"), ReplicaLost("cut")])
async def test_what_one_loses_another_does(hosts: Hosts, watch: Watch, error: Exception) -> None:
    one, other = await hosts.start(), await hosts.start()
    pool = await watch()
    await ready(pool, 2)
    for host in (one, other):
        host.runner.errors["r"] = error
    with pytest.raises(type(error)):
        await pool.run(a_payload())
    assert len(users(one)) == len(users(other)) == 1, "once more, and not again"
    del one.runner.errors["r"]
    await ready(pool, 2)
    for _ in range(2):
        assert content(await pool.run(a_payload())) == b"fox".translate(INVERSE)
        await ready(pool, 2)


async def test_what_fails_by_itself_is_not_done_twice(hosts: Hosts, watch: Watch) -> None:
    one, other = await hosts.start(), await hosts.start()
    pool = await watch()
    await ready(pool, 2)
    for host in (one, other):
        host.runner.errors["r"] = GenerationFailed("NaN")
    with pytest.raises(GenerationFailed):
        await pool.run(a_payload())
    assert len(users(one)) + len(users(other)) == 1


async def test_a_connection_that_breaks_in_mid_stage(hosts: Hosts, watch: Watch) -> None:
    one, other = await hosts.start(), await hosts.start()
    pool = await watch()
    await ready(pool, 2)
    work = asyncio.create_task(pool.run(a_payload(steps=3, hold_at=2)))
    await until(lambda: one.runner.running + other.runner.running, "the stage")
    broken, left = (one, other) if one.runner.running else (other, one)
    left.runner.released.set()
    await broken.server.stop(0)
    assert content(await work) == b"fox".translate(INVERSE)
    assert len(users(left)) == 1


async def test_the_only_replica_restarts_in_mid_stage(hosts: Hosts, watch: Watch) -> None:
    host = await hosts.start()
    pool = await watch()
    await ready(pool)
    work = asyncio.create_task(pool.run(a_payload(hold_at=1)))
    await until(lambda: host.runner.running, "the stage")
    await host.server.stop(0)
    again = StageHost()
    again.runner.released.set()
    await again.open(host.port)
    assert content(await work) == b"fox".translate(INVERSE)
    assert hosts.proven[-1] == again.identity.instance
    await again.close()


async def test_all_gone_is_a_503_with_a_hint_and_mends_itself(hosts: Hosts, watch: Watch) -> None:
    host = await hosts.start()
    pool = await watch(wait_seconds=0.2)
    await ready(pool)
    await host.close()
    with pytest.raises(NoReplica, match="1 proven, not serving") as refused:
        await pool.run(a_payload())
    assert refused.value.http_status == 503
    assert refused.value.retry_after
    assert str(host.address) not in str(refused.value), "no internals"
    assert not pool.ready
    await hosts.start(port=host.port)
    await ready(pool)
    await pool.run(a_payload())


async def test_waiting_is_bounded_in_number(hosts: Hosts, watch: Watch) -> None:
    host = await hosts.start()
    pool = await watch(most_each=1, most_waiting=2)
    await ready(pool)
    tasks = [asyncio.create_task(pool.run(a_payload(request_id="a", hold_at=1)))]
    await until(lambda: host.runner.running, "the first")
    tasks += [asyncio.create_task(pool.run(a_payload(request_id=each))) for each in "bc"]
    await asyncio.sleep(0)
    with pytest.raises(QueueFull, match="2 requests are waiting") as refused:
        await asyncio.wait_for(pool.run(a_payload(request_id="d")), SOON / 2)
    assert refused.value.retry_after
    host.runner.released.set()
    await gathered(*tasks)
    await pool.run(a_payload(request_id="e"))


async def test_waiting_is_bounded_in_time(hosts: Hosts, watch: Watch) -> None:
    host = await hosts.start()
    pool = await watch(most_each=1, wait_seconds=0.1)
    await ready(pool)
    first = asyncio.create_task(pool.run(a_payload(request_id="a", hold_at=1)))
    await until(lambda: host.runner.running, "the first")
    with pytest.raises(QueueFull):
        await asyncio.wait_for(pool.run(a_payload(request_id="b")), SOON / 2)
    host.runner.released.set()
    await gathered(first)


async def test_who_came_first_goes_first(hosts: Hosts, watch: Watch) -> None:
    host = await hosts.start()
    pool = await watch(most_each=1)
    await ready(pool)
    tasks = [asyncio.create_task(pool.run(a_payload(request_id="a", hold_at=1)))]
    await until(lambda: host.runner.running, "the first")
    for each in "bcdef":
        tasks.append(asyncio.create_task(pool.run(a_payload(request_id=each))))
        await asyncio.sleep(0)
    host.runner.released.set()
    await gathered(*tasks)
    assert users(host) == list("abcdef")


async def test_a_deadline_ends_the_waiting(hosts: Hosts, watch: Watch) -> None:
    pool = await watch()
    with pytest.raises(DeadlineExceeded, match="no denoiser was free"):
        await pool.run(a_payload(), deadline=asyncio.get_running_loop().time() + 0.05)


async def test_a_full_replica_passes_the_work_on(hosts: Hosts, watch: Watch) -> None:
    """Another router keeps it busy."""
    full, free = await hosts.start(most=1), await hosts.start()
    pool = await watch()
    await ready(pool, 2)
    host_busy = asyncio.create_task(
        (await watch(Static(full.address))).run(a_payload(request_id="theirs", hold_at=1))
    )
    await until(lambda: full.runner.running, "the other router's stage")
    for n in range(4):
        await pool.run(a_payload(request_id=str(n)))
    assert len(users(free)) == 4
    hosts.known.discard(free.address)
    await until(lambda: len(pool.reports()) == 1, "the free one's end")
    with pytest.raises(QueueFull):
        await pool.run(a_payload())
    full.runner.released.set()
    await host_busy


class Static:
    def __init__(self, *addresses: Address) -> None:
        self._addresses = frozenset(addresses)

    async def now(self) -> frozenset[Address]:
        return self._addresses


async def test_a_stage_goes_to_its_own_revision(hosts: Hosts, watch: Watch) -> None:
    """While a new one is rolled out, both are there."""
    old, new = await hosts.start(revision="v1"), await hosts.start(revision="v2")
    pool = await watch(wait_seconds=0.2)
    await ready(pool, 2)
    for revision in ("v1", "v2", "v2"):
        await pool.run(pack(Stage.DENOISE, "r", a_file(b"x"), {}, revision=revision))
    assert (len(users(old)), len(users(new))) == (1, 2)
    with pytest.raises(NoReplica, match="2 of another revision"):
        await pool.run(pack(Stage.DENOISE, "r", a_file(b"x"), {}, revision="v3"))


async def test_who_is_another_role_or_knows_another_token_is_kept_out(
    hosts: Hosts, watch: Watch
) -> None:
    decoder = await hosts.start(role=Role.DECODER)
    strict = await hosts.start(security=Security((b"fox",)))
    pool = await watch(wait_seconds=0.1)
    await until(
        lambda: (
            all(each.state is ReplicaState.FAILED for each in pool.reports())
            and len(pool.reports()) == 2
        ),
        "both to be seen",
    )
    reasons = {each.address: each.reason for each in pool.reports()}
    assert "is a decoder, and not one of the denoisers" in reasons[str(decoder.address)]
    assert "no token came" in reasons[str(strict.address)]
    with pytest.raises(NoReplica):
        await pool.run(a_payload())


async def test_steps_and_trace_pass_through(hosts: Hosts, watch: Watch) -> None:
    await hosts.start()
    pool = await watch()
    steps: list[tuple[int, int]] = []
    parent = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    found = await pool.run(
        a_payload(steps=3), trace=parent, on_step=lambda step, of: steps.append((step, of))
    )
    assert found.header.facts["trace"] == parent
    assert steps[-1] == (3, 3)


async def test_a_caller_that_leaves_while_it_waits_leaves_no_trace(
    hosts: Hosts, watch: Watch
) -> None:
    host = await hosts.start()
    pool = await watch(most_each=1, most_waiting=1)
    await ready(pool)
    first = asyncio.create_task(pool.run(a_payload(request_id="a", hold_at=1)))
    await until(lambda: host.runner.running, "the first")
    second = asyncio.create_task(pool.run(a_payload(request_id="b")))
    await asyncio.sleep(0)
    second.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await second
    third = asyncio.create_task(pool.run(a_payload(request_id="c")))
    host.runner.released.set()
    await gathered(first, third)
    assert users(host) == ["a", "c"]
