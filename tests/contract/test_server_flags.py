"""C01: the server understands every flag that the operator sets, and takes it as it was meant."""

import argparse

import pytest

from controller.api import runtime
from controller.api import warmup as api
from controller.api.base import seconds
from controller.api.model_source import Dtype
from controller.api.runtime import Drain, Requests
from controller.api.warmup import Warmup
from controller.desired.autoscalers import METRICS
from controller.desired.plan import Target
from model.configuration.flags import add_flags
from model.configuration.resolve import Resolved, resolve
from model.contract import flags as contract
from model.contract import warmup as words
from model.contract.compilation import CompileMode
from model.contract.sampling import Task
from model.settings import Settings
from model.telemetry.metrics import Metrics

from .rendering import SERVICES, containers, given, rendered


def parsed(arguments: list[str]) -> Resolved:
    """By the server itself. An unknown flag ends it."""
    assert arguments[0] == "serve"
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_flags(parser)
    return resolve(parser.parse_args(arguments[1:]), {})


@pytest.mark.parametrize("target", Target)
@pytest.mark.parametrize("name", SERVICES)
def test_c01_the_server_parses_what_is_rendered(name: str, target: Target) -> None:
    found = containers(rendered(given(name), target))
    assert found
    for each in found:
        resolved = parsed(each["args"])
        assert not resolved.ignored
        assert resolved.settings.http_port == each["ports"][0]["containerPort"]
        assert resolved.settings.grpc_port == each["ports"][1]["containerPort"]


@pytest.mark.parametrize("target", Target)
def test_c01_every_field_arrives(target: Target) -> None:
    (container,) = containers(rendered(given("everything"), target))
    settings = parsed(container["args"]).settings
    assert settings.model == "/mnt/models"
    assert (settings.model_name, settings.dtype) == ("flux", "bfloat16")
    assert settings.compile is CompileMode.REGIONAL
    assert str(settings.cache_dir) == "/var/cache/kiln/compiled"
    assert settings.warmup_mode is words.WarmupMode.SERVER
    assert [str(each) for each in settings.warmup_resolutions] == ["1024x1024", "768x1344"]
    assert (settings.warmup_num_frames, settings.warmup_steps) == (17, 4)
    assert settings.warmup_batch_sizes == (1, 4)
    assert settings.warmup_tasks == (Task.TEXT_TO_IMAGE, Task.IMAGE_TO_IMAGE)
    assert settings.warmup_on_failure is words.OnFailure.DEGRADED
    assert settings.unwarmed_shapes is words.UnwarmedShapes.REJECT
    assert (settings.startup_timeout, settings.request_timeout) == (5400, 1800)
    assert (settings.queue_size, settings.max_pixels, settings.max_images) == (8, 2097152, 8)
    assert (settings.drain_delay, settings.drain_timeout) == (20, 120)
    assert settings.output_format == "webp"


def test_c02_only_the_router_of_a_disaggregated_service_warms_up() -> None:
    modes = {}
    for each in containers(rendered(given("disaggregated"), Target.DEPLOYMENT)):
        settings = parsed(each["args"]).settings
        modes[str(settings.role)] = str(settings.warmup_mode)
    assert modes == {"router": "server", "encoder": "off", "denoiser": "off", "decoder": "off"}


def test_c01_the_words_of_the_api_are_those_of_the_server() -> None:
    for theirs, ours in (
        (words.WarmupMode, api.WarmupMode),
        (words.OnFailure, api.OnFailure),
        (words.UnwarmedShapes, api.UnwarmedShapes),
        (Task, api.Task),
        (CompileMode, runtime.CompileMode),
    ):
        assert {each.value for each in theirs} == {each.value.lower() for each in ours}
    schema = Settings.model_json_schema()["properties"]["dtype"]
    assert set(schema["enum"]) == {str(each) for each in Dtype}


def test_c09_the_defaults_of_the_crd_are_those_of_the_server() -> None:
    server, requests, drain = Settings(), Requests(), Drain()
    assert requests.max_queue == server.queue_size
    assert seconds(requests.timeout) == server.request_timeout
    assert requests.max_pixels == server.max_pixels
    assert requests.max_images == server.max_images
    assert seconds(drain.delay) == server.drain_delay
    assert seconds(drain.budget) == server.drain_timeout
    assert runtime.Runtime().compile.lower() == server.compile
    assert Warmup().mode.lower() == server.warmup_mode
    assert Warmup().on_failure.lower() == server.warmup_on_failure
    assert Warmup().unwarmed_shapes.lower() == server.unwarmed_shapes


def test_c01_every_flag_of_the_contract_is_a_setting() -> None:
    for each in contract.Flag:
        assert each.replace("-", "_") in Settings.model_fields
    assert Settings().http_port == contract.HTTP_PORT
    assert Settings().grpc_port == contract.GRPC_PORT


def test_c04_autoscalers_ask_for_metrics_that_the_server_has() -> None:
    registry = Metrics().registry
    names = {metric.name for metric in registry.collect()}
    assert set(METRICS.values()) <= names
