"""Jobs to keep."""

from collections.abc import Callable
from typing import Any

import pytest

from model.jobs.job import Job


@pytest.fixture
def job_of() -> Callable[..., Job]:
    """A job of the given id, and what else of it matters."""

    def make(id_: str, **known: Any) -> Job:
        facts = {
            "owner": "ann",
            "payer": "ann",
            "created": 1.0,
            "request": {"prompt": "a fox", "seed": 7},
            "told": {"size": "64x64"},
            "fingerprint": "one",
        }
        return Job(id=id_, **{**facts, **known})

    return make
