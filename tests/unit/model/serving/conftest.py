"""What the protocols share, without an engine behind it."""

from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from model.contract.warmup import WarmupMode
from model.media.encode import EncodePool
from model.roles.server_state import ServerState
from model.serving.context import Serving
from model.settings import Settings
from model.telemetry.metrics import Metrics
from model.warmup.report import WarmupReport


@pytest.fixture
def settings() -> Settings:
    return Settings()


@pytest.fixture
def serving(settings: Settings) -> Serving:
    """A server that has just started. Its role has a report and no model."""
    report = WarmupReport(WarmupMode.SERVER, "default")
    role: Any = SimpleNamespace(report=report, description=None, adapter=None, roles=dict)
    metrics = Metrics(CollectorRegistry())
    return Serving(settings, ServerState(), role, metrics, EncodePool(1))
