"""The folder of jobs: one server has it, and what is in it is whole."""

from collections.abc import Callable
from pathlib import Path

import pytest

from model.errors import InvalidSettings
from model.jobs.job import Job, Limits
from model.jobs.store import Held, JobStore

LIMITS = Limits(all=4, each=4)


async def test_one_server_has_it_until_it_ends(tmp_path: Path) -> None:
    first, second = JobStore(tmp_path / "jobs"), JobStore(tmp_path / "jobs")
    await first.acquire()
    with pytest.raises(Held):
        await second.acquire()
    await first.close()
    await second.acquire()
    assert await second.call(second.table.get, "a") is None
    await second.close()


async def test_what_is_forgotten_leaves_no_file(tmp_path: Path, job_of: Callable[..., Job]) -> None:
    store = JobStore(tmp_path)
    await store.acquire()
    for name in ("a", "b"):
        await store.call(store.table.add, job_of(name), LIMITS)
        await store.write(name, "mp4", name.encode())
        await store.write(name, "webp", b"")
    await store.forget("a")
    assert await store.call(store.table.get, "a") is None
    assert [each.name for each in sorted((tmp_path / "files").iterdir())] == ["b.mp4", "b.webp"]
    assert await store.read("b", "mp4") == b"b"
    await store.close()


async def test_calls_come_in_their_order(tmp_path: Path, job_of: Callable[..., Job]) -> None:
    store = JobStore(tmp_path)
    await store.acquire()
    await store.call(store.table.add, job_of("a"), LIMITS)
    for percent in range(50):
        store.soon(store.table.advance, "a", percent)
    job = await store.call(store.table.get, "a")
    assert job is not None
    assert job.progress == 49
    await store.close()


async def test_a_folder_of_its_own_goes_with_it() -> None:
    store = JobStore(None)
    await store.acquire()
    assert (store.durable, store.folder.is_dir()) == (False, True)
    await store.close()
    assert not store.folder.exists()


@pytest.mark.parametrize("broken", ["a file", "no table"])
async def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path, broken: str) -> None:
    folder = tmp_path / "jobs"
    if broken == "a file":
        folder.write_text("")
    else:
        folder.mkdir()
        (folder / "jobs.sqlite").write_text("no database at all, and long enough to be looked at")
    store = JobStore(folder)
    with pytest.raises(InvalidSettings, match="jobs_dir: "):
        await store.acquire()
    await store.close()
