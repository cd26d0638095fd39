"""Which trace a request belongs to."""

import asyncio

from model.telemetry.tracing import NO_TRACE, current_trace, enter_trace, trace_id


async def test_a_trace_is_that_of_its_task_and_of_those_that_it_begins() -> None:
    async def answer(name: str) -> str:
        enter_trace([("TraceParent", name), ("tracestate", "a=1"), ("cookie", "no")])
        await asyncio.sleep(0)
        return (await asyncio.create_task(inner()))["traceparent"]

    async def inner() -> dict[str, str]:
        return dict(current_trace())

    assert await asyncio.gather(answer("one"), answer("two")) == ["one", "two"]
    assert current_trace() == NO_TRACE


async def test_a_request_without_one_ends_the_one_before() -> None:
    enter_trace([("traceparent", "one")])
    enter_trace([("host", "localhost")])
    assert current_trace() == NO_TRACE


def test_a_trace_is_known_by_its_id_where_it_has_one() -> None:
    assert trace_id({"traceparent": "00-abc-def-01"}) == {"trace_id": "abc"}
    assert trace_id({"traceparent": "fox"}) == trace_id(NO_TRACE) == {}
