"""When the process says that it should be restarted (C10), and what it tells when it is scraped."""

from aiohttp.test_utils import TestClient, TestServer

from controller.api.kinds import SERVICE
from controller.health import Vital, application
from controller.metrics import Metrics
from controller.observed import Observed


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def leading(clock: Clock) -> Vital:
    vital = Vital(60.0, clock)
    vital.led()
    return vital


def test_c10_a_standby_is_healthy_however_long_it_waits() -> None:
    clock = Clock()
    vital = Vital(60.0, clock)
    clock.now += 10_000
    assert vital.complaint() is None


def test_c10_a_leader_that_cannot_compare_for_long_is_not() -> None:
    clock = Clock()
    vital = leading(clock)
    clock.now += 179
    assert vital.complaint() is None
    clock.now += 2
    assert "was not compared" in str(vital.complaint())
    vital.compared(missed=0)
    assert vital.complaint() is None


def test_c10_watches_that_miss_changes_twice_in_a_row_are_dead() -> None:
    vital = leading(Clock())
    vital.compared(missed=1)
    assert vital.complaint() is None, "once may be a watch that reconnected"
    vital.compared(missed=0)
    vital.compared(missed=1)
    assert vital.complaint() is None
    vital.compared(missed=2)
    assert "the watches missed changes" in str(vital.complaint())


async def test_a_scrape_counts_the_services_that_are_known_then() -> None:
    observed = Observed()
    app = application(Vital(period=60.0), Metrics(), observed, lambda: 0)
    async with TestClient(TestServer(app)) as client:
        for name, expected in (("fox", "1.0"), ("owl", "2.0")):
            metadata = {"name": name, "namespace": "art"}
            observed.put(SERVICE, {"metadata": metadata, "status": {"phase": "Ready"}})
            text = await (await client.get("/metrics")).text()
            assert f'kiln_operator_services{{phase="Ready"}} {expected}' in text
