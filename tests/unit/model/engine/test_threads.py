"""How many threads the engine may use: what the container was given, not what the machine has."""

import os
from pathlib import Path

import pytest

from model.engine.threads import set_threads, usable_cpus

OURS = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("quota", "cpus"),
    [
        ("max 100000\n", OURS),
        ("100000 100000\n", 1),
        ("150000 100000\n", 1),
        ("50000 100000\n", 1),
        ("6400000 100000\n", min(OURS, 64)),
        ("", OURS),
        ("many words in it", OURS),
        ("few 100000", OURS),
    ],
)
def test_the_quota_of_the_cgroup_bounds_the_threads(tmp_path: Path, quota: str, cpus: int) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(quota)
    assert usable_cpus(file) == cpus


def test_without_a_cgroup_it_is_the_affinity(tmp_path: Path) -> None:
    assert usable_cpus(tmp_path / "missing") == OURS


def test_w21_engines_share_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    monkeypatch.setattr("torch.set_num_threads", told.append)
    monkeypatch.setattr("model.engine.threads.usable_cpus", lambda: 4)
    for threads, engines in ((0, 1), (0, 2), (0, 8), (3, 2)):
        set_threads(threads, engines)
    assert told == [4, 2, 1, 3]
