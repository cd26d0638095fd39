"""W44, and requests: a real router, and real servers of roles that compute little."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from model.contract.roles import Role
from model.contract.state import State
from model.contract.watching import Watch
from model.contract.wire import STAGE_OF
from model.errors import (
    BadTransfer,
    EngineLost,
    GenerationFailed,
    InvalidSettings,
    NoReplica,
    OutOfMemory,
    QueueFull,
    StartupTimeout,
    Unsupported,
    WarmupFailed,
)
from model.pipelines.requests import Ask
from model.roles.chain import CHAIN
from model.telemetry import tracing
from tests.integration.support.server import free_ports
from tests.unit.model.roles.chain_support import a_host, a_router, flags_for, resolved_for
from tests.unit.model.transport.support import StageHost, until

FOX = Ask(prompts=("a fox",), parameters={"seed": 7}, id="fox")
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
Start = Callable[..., Awaitable[StageHost]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts a server of a role; they end with the test."""
    async with contextlib.AsyncExitStack() as stack:
        yield lambda role, *more: stack.enter_async_context(a_host(role, *more))


@pytest.fixture
async def hosts(start: Start) -> tuple[StageHost, StageHost, StageHost]:
    """One of each role."""
    encoder, denoiser, decoder = [await start(role) for role in CHAIN]
    return encoder, denoiser, decoder


Three = tuple[StageHost, StageHost, StageHost]


def asking(**more: Any) -> Ask:
    return replace(FOX, **more)


async def test_a_request_goes_through_the_three_roles(hosts: Three) -> None:
    async with a_router(*hosts) as running:
        router = await running.ready()
        tracing.enter_trace([("Traceparent", TRACEPARENT), ("cookie", "no")])
        request = router.prepare(asking(parameters={"seed": 7, "timeout_s": 30}))
        steps: list[tuple[int, int]] = []
        drawn = await router.generate(request, Watch(lambda *each: steps.append(each)))
        assert steps, "slow readers skip some"
        assert {of for _, of in steps} == {4}
        # The decoder's value: its seed, and the one tensor that it got.
        assert np.array_equal(drawn.pixels, np.full((1, 64, 64, 3), 8, np.uint8))
        assert (drawn.id, drawn.seeds, drawn.cold_shape) == ("fox", (7,), False)
        assert len(drawn.timings.steps) == 4
        assert drawn.timings.prepare == pytest.approx(0.002)
        for host in hosts:
            (stage,) = host.runner.users()
            header = stage.payload.header
            assert (header.request_id, header.stage) == ("fox", STAGE_OF[host.identity.role])
            assert (header.revision, header.warmup) == ("v1", False)
            assert stage.trace == {"traceparent": TRACEPARENT}
            assert stage.deadline is not None
            assert stage.deadline - time.monotonic() <= 30
            assert not {"timings", "notes"} & header.facts.keys(), "of no use to a role"


async def test_several_prompts_pictures_and_inputs_cross(hosts: Three) -> None:
    picture = np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3)
    async with a_router(*hosts) as running:
        router = await running.ready()
        ask = asking(
            prompts=("a fox", "a hen"), images=(picture, picture),
            parameters={"seed": 1, "num_images_per_prompt": 2},
        )  # fmt: skip
        drawn = await router.generate(router.prepare(ask))
        assert drawn.pixels.shape == (4, 64, 64, 3)
        assert drawn.seeds == (1, 2, 3, 4)
        assert drawn.cold_shape
        sent = hosts[0].runner.users()[0].payload
        assert {each.name for each in sent.header.tensors} == {"images.0", "images.1"}
        assert sent.data.endswith(picture.tobytes() * 2)


async def test_w44_it_is_not_ready_before_every_replica_has_been_through_the_plan(
    hosts: Three, start: Start
) -> None:
    second = await start(Role.DENOISER)
    await second.become(State.LOADING)
    second.runner.held = hosts[1].runner.held = {"warmup"}
    async with a_router(*hosts, second, flags=("--warmup-batch-sizes", "1,2")) as running:
        await until(lambda: hosts[1].runner.running, "the warmup of the first")
        await second.become(State.READY)
        await until(lambda: second.runner.running, "the warmup of the second")
        hosts[1].runner.released.set()
        for each in hosts:
            await running.becomes(each, "proven")
        done, _ = await asyncio.wait({running.start}, timeout=0.2)
        assert not done, "each role has a proven one, and another is yet to come"
        assert running.state.current is State.WARMING
        second.runner.released.set()
        router = await running.ready()
        for host in (*hosts, second):
            assert running.replica(host)["state"] == "proven"
            assert {i.rpartition("-batch-")[2][0] for i in host.runner.ids} == {"1", "2"}
            assert all(each.payload.header.warmup for each in host.runner.requests)
        report = router.report
        assert (report.engines, report.done, report.of) == (2, 4, 4)
        assert {each.batch for each in report.proven_shapes} == {1, 2}
        assert {running.replica(each)["chain"] for each in (hosts[1], second)} == {0, 1}


async def test_w28_no_figure_of_a_user_counts_a_warmup(hosts: Three) -> None:
    def value(name: str, **labels: str) -> float:
        return running.metrics.registry.get_sample_value(name, labels) or 0.0

    async with a_router(*hosts) as running:
        router = await running.ready()
        assert value("kiln_images_total") == value("kiln_role_seconds_count", role="denoiser") == 0
        assert value("kiln_hop_bytes_total", role="decoder", direction="received") == 0
        assert value("kiln_replicas", role="denoiser", state="proven") == 1
        assert value("kiln_warmup_shapes_done") == value("kiln_warmup_shapes") == 1
        await router.generate(router.prepare(FOX))
        assert value("kiln_role_seconds_count", role="denoiser") == 1
        assert value("kiln_hop_bytes_total", role="decoder", direction="received") > 64 * 64 * 3
        assert value("kiln_images_total") == 1


async def test_w44_a_replica_that_appears_later_is_warm_before_it_works(hosts: Three) -> None:
    (port,) = free_ports(1)
    denoiser = hosts[1]
    given = flags_for(*hosts)
    given[given.index("--denoisers") + 1] += f",127.0.0.1:{port}"
    async with a_router(*hosts, flags=tuple(given)) as running:
        router = await running.ready()
        denoiser.runner.held = {"held"}
        held = asyncio.create_task(router.generate(router.prepare(asking(id="held"))))
        await until(lambda: denoiser.runner.running, "a user's request")
        async with a_host(Role.DENOISER, "v1", port) as late:
            late.runner.held = {"warmup"}
            await until(lambda: late.runner.running, "its warmup")
            second = asyncio.create_task(router.generate(router.prepare(asking(id="second"))))
            await until(lambda: "second" in denoiser.runner.ids, "the one that is warm has it")
            late.runner.released.set()
            await running.becomes(late, "proven")
            await router.generate(router.prepare(asking(id="third")))
            assert late.runner.ids[-1] == "third", "now it is the one with less to do"
            denoiser.runner.released.set()
            await asyncio.gather(held, second)
            assert running.readied == ["warming"], "Ready all the time"


async def test_w44_a_replica_that_fails_is_kept_out_shown_and_tried_again(
    hosts: Three, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.transport.pool.PROVE_AGAIN_SECONDS", 0.05)
    broken = await start(Role.DENOISER)
    broken.runner.errors["warmup"] = GenerationFailed("NaN in latents")
    async with a_router(*hosts, broken) as running:
        router = await running.ready()
        told = await running.becomes(broken, "failed")
        assert "NaN in latents" in told["reason"]
        assert running.state.degraded == (
            f"the denoiser {broken.address} is kept out: its warmup failed: NaN in latents"
        )
        await asyncio.gather(
            *(router.generate(router.prepare(asking(id=f"u{number}"))) for number in range(6))
        )
        assert not broken.runner.users()
        broken.runner.errors.clear()
        await running.becomes(broken, "proven")
        assert running.state.degraded is None


async def test_w25_a_role_whose_only_replica_fails_ends_the_start(hosts: Three) -> None:
    hosts[2].runner.errors["warmup"] = GenerationFailed("black")
    async with a_router(*hosts) as running:
        with pytest.raises(WarmupFailed, match=f"no decoder is warm: {hosts[2].address}: black"):
            await running.start


@pytest.mark.parametrize(("policy", "told"), [("degraded", True), ("ready", False)])
async def test_w25_it_is_let_in_cold_where_that_was_asked_for(
    hosts: Three, policy: str, told: bool
) -> None:
    hosts[2].runner.errors["warmup"] = GenerationFailed("black")
    async with a_router(*hosts, flags=("--warmup-on-failure", policy)) as running:
        router = await running.ready()
        await until(lambda: bool(running.state.degraded) is told, "the reason, where it is told")
        assert ("decoder" in (running.state.degraded or "")) is told
        assert running.metrics.registry.get_sample_value("kiln_warmup_failed") == 1
        assert (await router.generate(router.prepare(FOX))).cold_shape


async def test_w44_a_replica_that_dies_in_its_warmup_has_not_failed_it(hosts: Three) -> None:
    """The start goes on, and whoever comes in its place is warmed up."""
    dying = hosts[1]
    dying.runner.held = {"warmup"}
    async with a_router(*hosts) as running:
        await until(lambda: dying.runner.running, "its warmup")
        await dying.server.stop(0)
        await until(lambda: not running.replica(dying)["serving"], "its end is noticed")
        async with a_host(Role.DENOISER, "v1", dying.port) as again:
            await running.ready()
            assert running.replica(again)["state"] == "proven"


async def test_w23_a_start_that_takes_too_long_says_who_is_missing(hosts: Three) -> None:
    encoder, _, decoder = hosts
    async with a_router(encoder, decoder, flags=("--startup-timeout", "1")) as running:
        running.state.seconds = lambda: 0.0  # type: ignore[method-assign]
        with pytest.raises(StartupTimeout) as late:
            await running.start
    assert "no denoiser of 127.0.0.1:1 can take work (127.0.0.1:1 is unproven: " in str(late.value)


async def test_w44_not_ready_when_a_role_is_gone_and_ready_again_by_itself(hosts: Three) -> None:
    encoder, denoiser, _ = hosts
    async with a_router(*hosts, flags=("--replica-wait", "0.2")) as running:
        router = await running.ready()
        await denoiser.become(State.DRAINING)
        await until(lambda: running.state.current is State.WARMING, "NotReady")
        assert running.state.lacking == "no denoiser can take the work: 1 proven, not serving"
        with pytest.raises(NoReplica) as refused:
            await router.generate(router.prepare(FOX))
        assert refused.value.retry_after
        await denoiser.become(State.READY)
        await until(lambda: running.state.ready, "the recovery")
        assert running.state.lacking is None
        await router.generate(router.prepare(FOX))
        assert len([each for each in denoiser.runner.ids if each.startswith("warmup")]) == len(
            [each for each in encoder.runner.ids if each.startswith("warmup")]
        ), "the same process was not warmed up twice"


async def test_w44_one_stage_that_is_lost_makes_nobody_not_ready(hosts: Three) -> None:
    """The replica is looked at first: it may have lost a connection only."""
    async with a_router(*hosts, flags=("--replica-wait", "0.2")) as running:
        router = await running.ready()
        states: list[State] = []
        running.state.listen(states.append)
        hosts[1].runner.errors["blip"] = EngineLost("once")
        with pytest.raises(NoReplica):
            await router.generate(router.prepare(asking(id="blip")))
        await router.generate(router.prepare(FOX))
        assert states == []


async def test_w44_a_new_process_at_an_old_address_is_warmed_up_before_ready_again(
    hosts: Three,
) -> None:
    denoiser = hosts[1]
    async with a_router(*hosts) as running:
        router = await running.ready()
        known = router.description
        await denoiser.close()
        await until(lambda: running.state.current is State.WARMING, "NotReady")
        async with a_host(Role.DENOISER, "v1", denoiser.port) as again:
            again.runner.held = {"warmup"}
            await until(lambda: again.runner.running, "its warmup")
            assert running.state.current is State.WARMING
            again.runner.released.set()
            await until(lambda: running.state.ready, "the recovery")
            await router.generate(router.prepare(FOX))
            assert again.runner.ids[-1] == "fox"
            assert router.description is known, "nothing else was adopted"


async def test_another_revision_is_kept_out_by_name(hosts: Three, start: Start) -> None:
    other = await start(Role.ENCODER, "v2")
    async with a_router(*hosts, other) as running:
        router = await running.ready()
        told = await running.becomes(other, "failed")
        assert told["reason"].startswith("revision: it has 'v2' of the model, and the chain 'v1'")
        for number in range(3):
            await router.generate(router.prepare(asking(id=f"u{number}")))
        assert not other.runner.requests


async def test_no_common_revision_is_told(start: Start) -> None:
    hosts = await start(Role.ENCODER, "v1"), await start(Role.DENOISER, "v2")
    decoder = await start(Role.DECODER, "v1")
    async with a_router(*hosts, decoder) as running:
        told = "no revision of the model is loaded in every role: encoder v1, denoiser v2"
        await until(lambda: told in (running.state.lacking or ""), "the reason")
        assert not running.start.done()


async def test_a_revision_that_is_gone_is_followed_by_the_one_that_came(
    hosts: Three, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    # At once, and not when what failed is tried again anyway.
    monkeypatch.setattr("model.transport.pool.PROVE_AGAIN_SECONDS", 600.0)
    new = [await start(role, "v2") for role in CHAIN]
    async with a_router(*hosts, *new) as running:
        router = await running.ready()
        first = router.revision
        old, others = (hosts, new) if first == "v1" else (new, list(hosts))
        for each in old:
            await each.become(State.DRAINING)
        await until(lambda: running.state.ready and router.revision != first, "the other revision")
        drawn = await router.generate(router.prepare(FOX))
        assert (drawn.seeds, drawn.cold_shape) == ((7,), False)
        assert router.report.engines == 1, "of the one that is served"
        assert all(each.runner.users() for each in others)
        # Who is proven, but of the other revision, is of no use.
        await old[1].become(State.READY)
        await running.becomes(old[1], "proven")
        await until(lambda: running.replica(old[1])["serving"], "it serves")
        await others[1].become(State.DRAINING)
        await until(lambda: running.state.current is State.WARMING, "NotReady")


async def test_a_client_that_goes_stops_the_denoiser_within_a_step(hosts: Three) -> None:
    denoiser = hosts[1].runner
    async with a_router(*hosts) as running:
        router = await running.ready()
        before, denoiser.held = denoiser.steps, {"gone"}
        gone = asyncio.create_task(router.generate(router.prepare(asking(id="gone"))))
        await until(lambda: denoiser.running, "its turn")
        gone.cancel()
        await until(lambda: denoiser.cancelled == ["gone"], "the end of the stage")
        assert denoiser.steps == before
        assert "gone" not in hosts[2].runner.ids


async def test_stages_of_several_requests_overlap(hosts: Three) -> None:
    _, denoiser, decoder = hosts
    async with a_router(*hosts) as running:
        router = await running.ready()
        denoiser.runner.held, decoder.runner.held = {"b"}, {"a"}
        first, second = [
            asyncio.create_task(router.generate(router.prepare(asking(id=name)))) for name in "ab"
        ]
        await until(lambda: decoder.runner.running and denoiser.runner.running, "both on their way")
        third = asyncio.create_task(router.generate(router.prepare(asking(id="c"))))
        await until(lambda: "c" in denoiser.runner.ids, "the encoder's stage of a third")
        for each in (denoiser, decoder):
            each.runner.released.set()
        assert [each.id for each in await asyncio.gather(first, second, third)] == ["a", "b", "c"]


async def test_the_queue_is_bounded_and_says_when_to_come_again(hosts: Three) -> None:
    denoiser = hosts[1].runner
    flags = ("--queue-size", "1", "--replica-max-stages", "1")
    async with a_router(*hosts, flags=flags) as running:
        router = await running.ready()
        denoiser.held = {"u"}
        first = asyncio.create_task(router.generate(router.prepare(asking(id="u1"))))
        await until(lambda: denoiser.running, "the first")
        second = asyncio.create_task(router.generate(router.prepare(asking(id="u2"))))
        depth = running.metrics.registry.get_sample_value
        await until(lambda: depth("kiln_queue_depth") == 1, "the second waits")
        with pytest.raises(QueueFull) as full:
            await router.generate(router.prepare(asking(id="u3")))
        assert full.value.retry_after
        denoiser.released.set()
        await asyncio.gather(first, second)
        assert denoiser.most == 1


async def test_a_stage_that_is_lost_is_done_by_another_replica(hosts: Three, start: Start) -> None:
    second = await start(Role.DENOISER)
    async with a_router(*hosts, second) as running:
        router = await running.ready()
        for each in (hosts[1], second):
            each.runner.held = {"lost"}
        work = asyncio.create_task(router.generate(router.prepare(asking(id="lost"))))
        await until(lambda: hosts[1].runner.running or second.runner.running, "the stage")
        dying, left = (hosts[1], second) if hosts[1].runner.running else (second, hosts[1])
        left.runner.released.set()
        await dying.server.stop(0)
        assert (await work).id == "lost"
        value = running.metrics.registry.get_sample_value
        assert value("kiln_stage_retries_total", {"role": "denoiser"}) == 1
        assert running.state.ready


async def test_a_decoder_that_sends_something_else_is_told_by_name(hosts: Three) -> None:
    async with a_router(*hosts) as running:
        router = await running.ready()
        hosts[2].runner.shape = (1, 2, 2, 3)
        with pytest.raises(BadTransfer, match=r"pixels U8 \[1, 64, 64, 3\] were asked for"):
            await router.generate(router.prepare(FOX))
        hosts[2].runner.shape = None
        hosts[1].runner.facts = {"timings": "soon"}
        with pytest.raises(BadTransfer, match="the denoiser tells its cost otherwise: timings"):
            await router.generate(router.prepare(FOX))


async def test_w41_what_the_roles_compiled_is_counted_together(hosts: Three) -> None:
    async with a_router(*hosts) as running:
        router = await running.ready()
        for host in hosts[:2]:
            host.runner.facts = {"compilations": {"compiles": 1, "recompiles": 2}}
        drawn = await router.generate(router.prepare(FOX))
        assert drawn.compiles == 6
        value = running.metrics.registry.get_sample_value
        assert value("kiln_compiles_after_ready_total", {"kind": "recompile"}) == 4


async def test_w22_a_chain_that_compiles_is_not_steady(hosts: Three) -> None:
    hosts[1].runner.facts = {"compilations": {"compiles": 1}}
    async with a_router(*hosts) as running:
        router = await running.ready()
        (shape,) = router.report.shapes
        assert (len(shape.passes), shape.settled) == (4, False)


async def test_w44_without_a_warmup_it_is_ready_when_the_roles_are_loaded(hosts: Three) -> None:
    async with a_router(*hosts, flags=("--warmup", "false")) as running:
        router = await running.ready()
        assert not any(each.runner.requests for each in hosts)
        assert (await router.generate(router.prepare(FOX))).cold_shape


async def test_two_routers_share_the_replicas(hosts: Three) -> None:
    async with a_router(*hosts) as one, a_router(*hosts) as other:
        routers = [await one.ready(), await other.ready()]
        drawn = await asyncio.gather(*(each.generate(each.prepare(FOX)) for each in routers))
        assert np.array_equal(drawn[0].pixels, drawn[1].pixels)
        assert len(hosts[1].runner.users()) == 2


async def test_w24_a_shape_without_memory_is_shrunk_and_said_so(hosts: Three) -> None:
    hosts[1].runner.errors["warmup-text-to-image-64x64"] = OutOfMemory("full")
    async with a_router(*hosts) as running:
        router = await running.ready()
        (shape,) = router.report.shapes
        assert (shape.degraded, shape.shape.width) == (True, 32)
        assert "no memory for 1 of 1 planned shapes" in (running.state.degraded or "")


async def test_a_router_has_no_adapters(hosts: Three) -> None:
    async with a_router(*hosts) as running:
        with pytest.raises(Unsupported):
            await running.router.change_adapter(None)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--warmup-mode", "request"), r"warmup_mode \(flag\): a copy of the first request"),
        (("--engines", "2"), r"engines \(flag\): a server of role router has no engine"),
        (
            ("--cfg-parallel", "true"),
            r"cfg_parallel \(flag\): a server of role router has no engine",
        ),
    ],
)
def test_what_a_router_cannot_heed_is_refused(flags: tuple[str, ...], told: str) -> None:
    with pytest.raises(InvalidSettings, match=told):
        resolved_for(*flags)
