"""A replica in this process, and a client of it."""

from collections.abc import AsyncIterator

import pytest

from model.transport.client import StageClient
from tests.unit.model.transport.support import StageHost, a_client


@pytest.fixture
async def host() -> AsyncIterator[StageHost]:
    async with StageHost() as running:
        yield running


@pytest.fixture
async def client(host: StageHost) -> AsyncIterator[StageClient]:
    found = a_client(host)
    yield found
    await found.close()
