"""The table of jobs: what is kept, in which order, and what a restart makes of it."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from model.errors import IdempotencyConflict, QuotaExceeded
from model.jobs.job import Job, Limits, Status
from model.jobs.table import JobTable

LIMITS = Limits(all=4, each=3)
NOW, LASTS = 1000.0, 60.0
JobOf = Callable[..., Job]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.sqlite"


@pytest.fixture
def table(path: Path) -> Iterator[JobTable]:
    made = JobTable(path)
    yield made
    made.close()


def status(table: JobTable, id_: str) -> Status:
    job = table.get(id_)
    assert job is not None
    return job.status


def test_a_job_is_read_as_it_was_written(table: JobTable, path: Path, job_of: JobOf) -> None:
    job = job_of("a", key="k", request={"prompt": "ein Fuß", "fps": 12.5, "seed": 2**62})
    assert table.add(job, LIMITS) == job
    table.close()
    assert JobTable(path).get("a") == job


def test_the_oldest_runs_first_and_each_once(table: JobTable, job_of: JobOf) -> None:
    for name in ("b", "a", "c"):
        table.add(job_of(name), LIMITS)
    claimed = [table.claim() for _ in range(4)]
    assert [each.id if each else None for each in claimed] == ["b", "a", "c", None]
    assert claimed[0] is not None
    assert claimed[0].status is Status.IN_PROGRESS


def test_pages_go_both_ways_and_show_nobody_elses(table: JobTable, job_of: JobOf) -> None:
    many = Limits(all=99, each=99)
    for name in "abcde":
        table.add(job_of(name), many)
    table.add(job_of("x", owner="bob"), many)

    def ids(*given: Any) -> list[str]:
        return [each.id for each in table.page("ann", *given)]

    assert ids(None, 3, True) == ["e", "d", "c"]
    assert ids("c", 3, True) == ["b", "a"]
    assert ids(None, 2, False) == ["a", "b"]
    assert ids("d", 2, False) == ["e"]


def test_the_same_request_with_the_same_key_is_the_same_job(table: JobTable, job_of: JobOf) -> None:
    first = table.add(job_of("a", key="k"), LIMITS)
    assert table.add(job_of("b", key="k"), LIMITS) == first
    assert table.add(job_of("c", key="k", owner="bob"), LIMITS).id == "c", "another's key"
    with pytest.raises(IdempotencyConflict, match="Idempotency-Key: was given"):
        table.add(job_of("d", key="k", fingerprint="two"), LIMITS)
    assert [table.get(name) for name in "bd"] == [None, None]
    for name in "ef":
        assert table.add(job_of(name, payer=name), LIMITS).id == name, "no key, no other job"


def test_quotas_count_what_has_not_ended(table: JobTable, job_of: JobOf) -> None:
    for name in "abc":
        table.add(job_of(name), LIMITS)
    with pytest.raises(QuotaExceeded, match="3 of your jobs"):
        table.add(job_of("d"), LIMITS)
    table.add(job_of("x", payer="bob"), LIMITS)
    with pytest.raises(QuotaExceeded, match="4 jobs wait or run"):
        table.add(job_of("y", payer="bob"), LIMITS)
    table.claim()
    with pytest.raises(QuotaExceeded):
        table.add(job_of("d"), LIMITS)
    table.complete("a", NOW, LASTS)
    assert table.add(job_of("d"), LIMITS).id == "d"


def test_what_ran_when_the_server_ended_runs_once_more_and_then_fails(
    table: JobTable, job_of: JobOf
) -> None:
    table.add(job_of("ran"), LIMITS)
    table.add(job_of("waits"), LIMITS)
    table.claim()
    table.advance("ran", 40)
    assert table.recover(NOW, LASTS) == (1, 0)
    again = table.claim()
    assert again is not None
    assert (again.id, again.restarts, again.progress) == ("ran", 1, 0), "before what came later"
    assert table.recover(NOW, LASTS) == (0, 1)
    failed = table.get("ran")
    assert failed is not None
    assert (failed.status, failed.code, failed.ended) == (Status.FAILED, "server_ended", NOW)
    assert "ended twice" in str(failed.problem)
    assert status(table, "waits") is Status.QUEUED


def test_what_is_given_back_counts_as_no_restart(table: JobTable, job_of: JobOf) -> None:
    table.add(job_of("a"), LIMITS)
    table.claim()
    table.give_back("a")
    again = table.claim()
    assert again is not None
    assert again.restarts == 0


def test_only_what_has_ended_expires(table: JobTable, job_of: JobOf) -> None:
    for name in "abc":
        table.add(job_of(name), LIMITS)
    table.complete("a", NOW, LASTS)
    table.fail("b", NOW, LASTS, "failed", "why")
    assert table.expired(NOW + LASTS - 1) == []
    assert table.expired(NOW + LASTS + 1) == ["a", "b"]
    table.remove("a")
    assert table.get("a") is None
    assert table.expired(NOW + LASTS + 1) == ["b"]


def test_a_table_of_another_release_is_refused(path: Path) -> None:
    made = sqlite3.connect(path)
    made.execute("PRAGMA user_version = 9")
    made.close()
    with pytest.raises(sqlite3.DatabaseError, match="version 9, and this release has 1"):
        JobTable(path)
