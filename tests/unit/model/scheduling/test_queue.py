"""The queue: order, bounds, deadlines, cancellation, and that nobody waits for ever."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from model.errors import DeadlineExceeded, EngineLost, GenerationFailed, QueueFull
from model.scheduling.queue import RequestQueue

SOON = 5.0


async def submitted(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Start to submit, and return once it waits."""
    task = asyncio.create_task(work)
    await asyncio.sleep(0)
    return task


async def answers(*tasks: asyncio.Task[Any]) -> list[Any]:
    async with asyncio.timeout(SOON):
        return await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def queue(open_queue: Callable[..., RequestQueue]) -> RequestQueue:
    return open_queue()


async def test_higher_priority_runs_first_then_first_come(
    queue: RequestQueue, engine: Any, request_of: Any
) -> None:
    wanted = [("busy", 0), ("a", 0), ("b", 5), ("c", 0), ("d", 5), ("e", -1)]
    tasks = [
        await submitted(queue.submit(request_of(name, priority=rank))) for name, rank in wanted
    ]
    await engine.runs("busy")
    order = ["busy", "b", "d", "a", "c", "e"]
    for name in order:
        await engine.runs(name)
        assert len(engine.running) == 1, "one at a time"
        engine.finish(name)
    done = await answers(*tasks)
    assert engine.started == order
    assert [each.id for each in done] == [name for name, _ in wanted]


async def test_the_answer_tells_how_long_it_waited(
    queue: RequestQueue, engine: Any, request_of: Any
) -> None:
    first = await submitted(queue.submit(request_of("first")))
    await engine.runs("first")
    before = time.monotonic()
    second = await submitted(queue.submit(request_of("second")))
    came = time.monotonic()
    finished = time.monotonic()
    engine.finish("first")
    await engine.runs("second")
    ran = time.monotonic()
    engine.finish("second")
    _, waited = await answers(first, second)
    assert finished - came <= waited.timings.queue <= ran - before
    assert waited.timings.total == 2.0, "the engine's own timings stay"


async def test_one_too_many_is_refused_with_the_time_to_try_again(
    open_queue: Callable[..., RequestQueue], engine: Any, request_of: Any
) -> None:
    queue = open_queue(size=2)
    tasks = [await submitted(queue.submit(request_of("busy", steps=4)))]
    await engine.runs("busy")
    tasks += [await submitted(queue.submit(request_of(each))) for each in ("a", "b")]
    with pytest.raises(QueueFull, match="2 requests are waiting") as refused:
        await queue.submit(request_of("c"))
    assert refused.value.retry_after == 1, "nothing has been measured yet"
    for name, seconds in (("busy", 10.0), ("a", 2.0), ("b", 2.0)):
        await engine.runs(name)
        engine.finish(name, seconds)
        if name == "busy":
            await engine.runs("a")
            tasks.append(await submitted(queue.submit(request_of("d"))))
            with pytest.raises(QueueFull) as refused:
                await queue.submit(request_of("e"))
            assert refused.value.retry_after == 10, "4 steps took 10 s, and 4 are ahead"
    await engine.runs("d")
    engine.finish("d")
    assert "c" not in engine.started
    assert [each.id for each in await answers(*tasks)] == ["busy", "a", "b", "d"]


async def test_the_time_to_try_again_is_never_none_at_all(
    open_queue: Callable[..., RequestQueue], engine: Any, request_of: Any
) -> None:
    """Retry-After: 0 would be an invitation to hammer."""
    queue = open_queue(size=1)
    first = await submitted(queue.submit(request_of("first")))
    await engine.runs("first")
    engine.finish("first", seconds=0.0)
    await answers(first)
    tasks = [await submitted(queue.submit(request_of("busy")))]
    await engine.runs("busy")
    tasks.append(await submitted(queue.submit(request_of("waits"))))
    with pytest.raises(QueueFull) as refused:
        await queue.submit(request_of("refused"))
    assert refused.value.retry_after >= 1
    for task in tasks:
        task.cancel()
    await answers(*tasks)


async def test_a_deadline_that_passes_in_the_queue_is_answered_then(
    queue: RequestQueue, engine: Any, request_of: Any
) -> None:
    """While the engine is still busy with another: the late one never costs device time."""
    busy = await submitted(queue.submit(request_of("busy")))
    await engine.runs("busy")
    late = await submitted(queue.submit(request_of("late", deadline=time.monotonic() + 0.02)))
    (answer,) = await answers(late)
    assert isinstance(answer, DeadlineExceeded)
    assert "queue" in str(answer)
    assert list(engine.running) == ["busy"]
    assert queue.depth == 0
    engine.finish("busy")
    await answers(busy)
    assert engine.started == ["busy"]


async def test_a_deadline_already_over_is_refused_without_execution(
    queue: RequestQueue, engine: Any, request_of: Any
) -> None:
    busy = await submitted(queue.submit(request_of("busy")))
    await engine.runs("busy")
    late = await submitted(queue.submit(request_of("late", deadline=time.monotonic() - 1)))
    (answer,) = await answers(late)
    assert isinstance(answer, DeadlineExceeded)
    engine.finish("busy")
    await answers(busy)
    assert engine.started == ["busy"]


async def test_the_deadline_of_a_running_request_is_the_engines(
    queue: RequestQueue, engine: Any, request_of: Any
) -> None:
    """It stops at the next step and says so; the queue must not answer twice."""
    deadline = time.monotonic() + 0.02
    task = await submitted(queue.submit(request_of("runs", deadline=deadline)))
    await engine.runs("runs")
    waits = await submitted(queue.submit(request_of("waits", deadline=deadline)))
    await answers(waits)
    assert time.monotonic() >= deadline
    assert not task.done()
    engine.fail("runs", DeadlineExceeded("the engine's word"))
    (answer,) = await answers(task)
    assert str(answer) == "the engine's word"


async def test_cancelling_takes_a_waiting_request_out(
    queue: RequestQueue, engine: Any, request_of: Any
) -> None:
    busy = await submitted(queue.submit(request_of("busy")))
    await engine.runs("busy")
    waits = await submitted(queue.submit(request_of("waits")))
    stays = await submitted(queue.submit(request_of("stays")))
    assert queue.depth == 2
    waits.cancel()
    (answer,) = await answers(waits)
    assert isinstance(answer, asyncio.CancelledError)
    assert queue.depth == 1
    engine.finish("busy")
    await engine.runs("stays")
    engine.finish("stays")
    await answers(busy, stays)
    assert engine.started == ["busy", "stays"]
    assert engine.cancelled == []


async def test_cancelling_stops_a_running_request_and_the_next_one_runs(
    queue: RequestQueue, engine: Any, request_of: Any
) -> None:
    runs = await submitted(queue.submit(request_of("runs")))
    await engine.runs("runs")
    waits = await submitted(queue.submit(request_of("next")))
    runs.cancel()
    await answers(runs)
    await engine.runs("next")
    assert engine.cancelled == ["runs"]
    engine.finish("next")
    (answer,) = await answers(waits)
    assert answer.id == "next"


async def test_an_execution_that_raises_answers_its_own_request_only(
    queue: RequestQueue, engine: Any, request_of: Any
) -> None:
    tasks = [await submitted(queue.submit(request_of(each))) for each in ("bad", "good")]
    await engine.runs("bad")
    engine.fail("bad", GenerationFailed("the pipeline failed"))
    await engine.runs("good")
    engine.finish("good")
    bad, good = await answers(*tasks)
    assert isinstance(bad, GenerationFailed)
    assert good.id == "good"


async def test_an_execution_that_was_cancelled_by_somebody_else_answers_too(
    queue: RequestQueue, engine: Any, request_of: Any
) -> None:
    task = await submitted(queue.submit(request_of("runs")))
    await engine.runs("runs")
    engine.running["runs"].cancel()
    (answer,) = await answers(task)
    assert isinstance(answer, asyncio.CancelledError)


async def test_closing_fails_those_who_wait_and_those_who_come(
    queue: RequestQueue, engine: Any, request_of: Any
) -> None:
    busy = await submitted(queue.submit(request_of("busy")))
    await engine.runs("busy")
    waiting = [await submitted(queue.submit(request_of(each))) for each in ("a", "b")]
    queue.close(EngineLost("gone"))
    assert [str(each) for each in await answers(*waiting)] == ["gone", "gone"]
    with pytest.raises(EngineLost, match="gone"):
        await queue.submit(request_of("c"))
    assert not busy.done(), "what runs is the engine's to end"
    engine.fail("busy", EngineLost("killed"))
    await answers(busy)
    assert engine.started == ["busy"]
    assert queue.idle


async def test_what_runs_is_answered_even_when_the_queue_has_ended(
    engine: Any, request_of: Any
) -> None:
    """A server that stops ends its queue and its engine in any order; nobody may wait for ever."""
    queue = RequestQueue(engine.execute, 8)
    runner = asyncio.create_task(queue.run())
    task = await submitted(queue.submit(request_of("runs")))
    await engine.runs("runs")
    runner.cancel()
    await asyncio.wait({runner})
    engine.fail("runs", EngineLost("the server is stopping"))
    (answer,) = await answers(task)
    assert isinstance(answer, EngineLost)


async def test_depth_and_idleness(
    open_queue: Callable[..., RequestQueue], engine: Any, request_of: Any
) -> None:
    seen: list[int] = []
    queue = open_queue(depth_changed=seen.append)
    assert queue.idle
    tasks = [await submitted(queue.submit(request_of(each))) for each in ("a", "b")]
    await engine.runs("a")
    assert (queue.depth, queue.idle) == (1, False)
    engine.finish("a")
    await engine.runs("b")
    assert (queue.depth, queue.idle) == (0, False)
    engine.finish("b")
    await answers(*tasks)
    await asyncio.sleep(0)
    assert (queue.depth, queue.idle) == (0, True)
    assert seen == [1, 0, 1, 0]


# -- several engines -----------------------------------------------------------------------------


async def test_w21_each_free_engine_runs_one_request(
    open_queue: Callable[..., RequestQueue], engine: Any, request_of: Any
) -> None:
    queue = open_queue(engines=2)
    jobs = [asyncio.create_task(queue.submit(request_of(each))) for each in "abc"]
    await engine.runs("b")
    assert engine.started == ["a", "b"]
    assert queue.depth == 1
    engine.finish("b")
    await engine.runs("c")
    assert [each.engine for each in engine.requests.values()] == [0, 1, 1]
    assert not queue.idle
    for each in "ac":
        engine.finish(each)
    await asyncio.gather(*jobs)
    assert queue.idle


async def test_w21_a_request_for_one_engine_waits_for_it_and_others_pass(
    open_queue: Callable[..., RequestQueue], engine: Any, request_of: Any
) -> None:
    queue = open_queue(engines=2)
    wanted = {"a": 1, "b": 1, "c": None}
    jobs = [
        asyncio.create_task(queue.submit(request_of(each, engine=number)))
        for each, number in wanted.items()
    ]
    await engine.runs("a")
    await engine.runs("c")
    assert sorted(engine.started) == ["a", "c"]
    engine.finish("c")
    await jobs[2]
    assert queue.depth == 1, "engine 0 is free, and leaves it"
    engine.finish("a")
    await engine.runs("b")
    engine.finish("b")
    await asyncio.gather(*jobs)
    assert {name: each.engine for name, each in engine.requests.items()} == {"a": 1, "b": 1, "c": 0}


async def test_w21_cancelling_stops_the_request_that_was_meant(
    open_queue: Callable[..., RequestQueue], engine: Any, request_of: Any
) -> None:
    queue = open_queue(engines=2)
    jobs = [asyncio.create_task(queue.submit(request_of(each))) for each in "ab"]
    await engine.runs("b")
    jobs[1].cancel()
    await asyncio.gather(jobs[1], return_exceptions=True)
    for _ in range(3):  # let the execution end
        await asyncio.sleep(0)
    assert engine.cancelled == ["b"]
    engine.finish("a")
    assert (await jobs[0]).id == "a"
