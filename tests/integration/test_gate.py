"""What a server says and does before it is warm, seen from outside through a whole start.

One server whose warmup lasts seconds is watched by every readiness signal of every protocol at
once, and asked for pictures on every API while it loads and while it warms. The tests then read
what was seen.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages
from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc as services

from tests.integration.support.requests import KNOBS, PROMPT, body, opened, pictures
from tests.integration.support.server import ServerProcess, wait_until

NAME = "slow"
INFER = f"/v2/models/{NAME}/infer"
PREDICT = f"/v1/models/{NAME}:predict"
SERVICE = "inference.GRPCInferenceService"
HEALTH_NAMES = ("", SERVICE, NAME)
# Two to four passes of this many steps: seconds on any machine.
WARMUP_STEPS = 30
PAUSE_SECONDS = 0.05
# Answers without which a watch has seen nothing.
MEANINGFUL = 10
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

ALWAYS_ANSWERED = (
    "/v2/health/live",
    "/v2",
    "/v2/models",
    f"/v2/models/{NAME}",
    "/metrics",
    "/v1/models",
    "/docs",
    "/openapi.json",
)
READY_SIGNALS = (
    "rest ready",
    "rest model ready",
    "v1 model",
    "grpc ServerReady",
    "grpc ModelReady",
    *(f"grpc health {name!r}" for name in HEALTH_NAMES),
)


@dataclass(frozen=True)
class Sample:
    """One answer of one signal: asked and answered when (seconds since the epoch), and what."""

    signal: str
    asked: float
    answered: float
    value: Any


@dataclass
class Seen:
    """All that was seen of one start."""

    server: ServerProcess
    samples: list[Sample] = field(default_factory=list)
    health_watch: list[int] = field(default_factory=list)
    probes: dict[str, dict[str, Any]] = field(default_factory=dict)
    engine_pids: list[int] = field(default_factory=list)
    metrics: str = ""

    def of(self, signal: str) -> list[Sample]:
        return [each for each in self.samples if each.signal == signal]


def infer_message() -> Any:
    """A prompt and few steps, over gRPC."""
    return messages.ModelInferRequest(
        model_name=NAME,
        inputs=[
            messages.ModelInferRequest.InferInputTensor(
                name="prompt",
                datatype="BYTES",
                shape=[1],
                contents=messages.InferTensorContents(bytes_contents=[PROMPT.encode()]),
            )
        ],
        parameters={
            name: messages.InferParameter(int64_param=value) for name, value in KNOBS.items()
        },
    )


def rest_signal(server: ServerProcess, path: str) -> Callable[[], Any]:
    client = httpx.Client(base_url=server.base_url, trust_env=False, timeout=30)
    return lambda: client.get(path).status_code == httpx.codes.OK


def proven(server: ServerProcess) -> Callable[[], Any]:
    """State, and whether the report in the metadata says that every planned shape is proven."""
    client = httpx.Client(base_url=server.base_url, trust_env=False, timeout=30)

    def ask() -> tuple[str, bool]:
        found = client.get(f"/v2/models/{NAME}").json()
        report = found["warmup"]
        shapes = report["shapes"]
        complete = report["of"] > 0 and report["done"] == report["of"] == len(shapes)
        return found["state"], complete and all(each["proven"] for each in shapes)

    return ask


def signals(server: ServerProcess, channel: Any) -> dict[str, Callable[[], Any]]:
    """Every signal by name: a call that asks once."""
    service = services.GRPCInferenceServiceStub(channel)
    health = health_pb2_grpc.HealthStub(channel)
    ready, model = messages.ServerReadyRequest(), messages.ModelReadyRequest(name=NAME)

    def health_of(name: str) -> Callable[[], Any]:
        request = health_pb2.HealthCheckRequest(service=name)
        return lambda: health.Check(request).status == SERVING

    return {
        "rest live": rest_signal(server, "/v2/health/live"),
        "rest ready": rest_signal(server, "/v2/health/ready"),
        "rest model ready": rest_signal(server, f"/v2/models/{NAME}/ready"),
        "v1 model": rest_signal(server, f"/v1/models/{NAME}"),
        "grpc ServerLive": lambda: service.ServerLive(messages.ServerLiveRequest()).live,
        "grpc ServerReady": lambda: service.ServerReady(ready).ready,
        "grpc ModelReady": lambda: service.ModelReady(model).ready,
        **{f"grpc health {name!r}": health_of(name) for name in HEALTH_NAMES},
        "proven": proven(server),
    }


@contextlib.contextmanager
def watching(seen: Seen) -> Iterator[None]:
    """Ask every signal, each on a thread of its own, from before the ports are open to the end."""
    stop = threading.Event()
    channel = grpc.insecure_channel(
        seen.server.grpc_address, [("grpc.max_reconnect_backoff_ms", 100)]
    )

    def sampled(signal: str, ask: Callable[[], Any]) -> None:
        while not stop.wait(PAUSE_SECONDS):
            asked = time.time()
            # Before the port is open nobody answers.
            with contextlib.suppress(httpx.TransportError, grpc.RpcError):
                value = ask()
                seen.samples.append(Sample(signal, asked, time.time(), value))

    threads = [
        threading.Thread(target=sampled, args=each)
        for each in signals(seen.server, channel).items()
    ]
    for each in threads:
        each.start()
    try:
        yield
    finally:
        stop.set()
        for each in threads:
            each.join()
        channel.close()


@contextlib.contextmanager
def health_watched(seen: Seen) -> Iterator[None]:
    """Follow ``grpc.health.v1`` Watch of the whole server."""
    with grpc.insecure_channel(seen.server.grpc_address) as channel:
        stream = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(service=""), wait_for_ready=True
        )

        def follow() -> None:
            with contextlib.suppress(grpc.RpcError):
                seen.health_watch.extend(each.status for each in stream)

        thread = threading.Thread(target=follow)
        thread.start()
        yield
        stream.cancel()
        thread.join()


def probe(server: ServerProcess, channel: Any) -> dict[str, Any]:
    """Ask for a picture on every API, and read all that is always answered."""
    service = services.GRPCInferenceServiceStub(channel)
    found: dict[str, Any] = {path: server.client.get(path) for path in ALWAYS_ANSWERED}
    found["rest ready"] = server.client.get("/v2/health/ready")
    found["rest model ready"] = server.client.get(f"/v2/models/{NAME}/ready")
    found["v2 infer"] = server.client.post(INFER, json=body())
    found["v1 predict"] = server.client.post(
        PREDICT, json={"instances": [{"prompt": PROMPT, **KNOBS}]}
    )
    try:
        found["grpc infer"] = service.ModelInfer(infer_message(), wait_for_ready=True)
    except grpc.RpcError as error:
        found["grpc infer"] = error
    found["grpc metadata"] = service.ModelMetadata(messages.ModelMetadataRequest(name=NAME))
    return found


@pytest.fixture(scope="module")
def seen(slow_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """One start, watched from its first moment until after Ready."""
    flags = ("--model", str(slow_model), "--warmup-steps", str(WARMUP_STEPS))
    with ServerProcess(tmp_path_factory.mktemp("gate"), *flags) as server:
        seen = Seen(server)
        with watching(seen), health_watched(seen):
            with grpc.insecure_channel(server.grpc_address) as channel:
                server.wait_live()
                engine = wait_until(server.engine, "the engine's process is there")
                seen.engine_pids.append(engine.pid)
                seen.probes["loading"] = probe(server, channel)
                server.wait_state("warming")
                seen.probes["warming"] = probe(server, channel)
                server.wait_ready()
                wait_until(
                    lambda: (
                        all(any(e.value for e in seen.of(s)) for s in READY_SIGNALS)
                        and SERVING in seen.health_watch
                    ),
                    "every signal says Ready",
                )
                seen.metrics = server.client.get("/metrics").text
                seen.probes["ready"] = probe(server, channel)
            engine = wait_until(server.engine, "the engine's process is there")
            seen.engine_pids.append(engine.pid)
        yield seen


STATES = ("loading", "warming")


@pytest.mark.parametrize("signal", ["rest live", "grpc ServerLive"])
def test_W30_W34_live_through_loading_and_warming(seen: Seen, signal: str) -> None:
    answers = [each.value for each in seen.of(signal)]
    assert len(answers) > MEANINGFUL
    assert all(answers)


@pytest.mark.parametrize("signal", READY_SIGNALS)
def test_W30_no_signal_says_ready_before_all_shapes_are_proven(seen: Seen, signal: str) -> None:
    (last_shape,) = seen.server.events("warmup_shape")
    proven_at = datetime.fromisoformat(last_shape["timestamp"]).timestamp()
    answers = seen.of(signal)
    before = [each for each in answers if each.answered < proven_at]
    assert len(before) > MEANINGFUL, "it was asked often enough to mean something"
    assert not any(each.value for each in before)
    first = min(each.answered for each in answers if each.value)
    assert first >= proven_at
    # The metadata, whenever asked after somebody was told Ready, shows the proof.
    later = [each.value for each in seen.of("proven") if each.asked >= first]
    assert later
    assert all(value == ("ready", True) for value in later)


@pytest.mark.parametrize("signal", READY_SIGNALS)
def test_W30_a_signal_that_said_ready_stays_so(seen: Seen, signal: str) -> None:
    answers = [each.value for each in seen.of(signal)]
    assert answers == sorted(answers)


def test_W30_metadata_was_watched_in_every_state(seen: Seen) -> None:
    """Loading, warming without proof, ready with proof, in this order: the watch saw them all."""
    states = list(dict.fromkeys(each.value for each in seen.of("proven")))
    assert ("ready", False) not in states
    assert [each for each in states if each != ("warming", True)] == [
        *[each for each in [("starting", False)] if each in states],
        ("loading", False),
        ("warming", False),
        ("ready", True),
    ]


def test_W30_health_watch_flips_once(seen: Seen) -> None:
    assert seen.health_watch == [NOT_SERVING, SERVING]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("path", ["rest ready", "rest model ready"])
def test_W30_not_ready_says_how_far_it_is(seen: Seen, state: str, path: str) -> None:
    answer = seen.probes[state][path]
    assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert answer.json()["ready"] is False
    _assert_progress(answer, state)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("path", ALWAYS_ANSWERED)
def test_W31_always_answered(seen: Seen, state: str, path: str) -> None:
    assert seen.probes[state][path].status_code == httpx.codes.OK


@pytest.mark.parametrize("state", STATES)
def test_W31_grpc_metadata_is_always_answered(seen: Seen, state: str) -> None:
    found = seen.probes[state]["grpc metadata"]
    assert found.name == NAME
    assert "prompt" in [each.name for each in found.inputs]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("api", ["v2 infer", "v1 predict"])
def test_W32_inference_before_ready_is_told_when_to_come_back(
    seen: Seen, state: str, api: str
) -> None:
    answer = seen.probes[state][api]
    assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
    _assert_progress(answer, state)


def _assert_progress(answer: httpx.Response, state: str) -> None:
    found = answer.json()
    assert int(answer.headers["Retry-After"]) >= 1
    assert found["state"] == state
    assert state in found["error"]
    assert found["done"] == 0
    assert found["of"] == {"loading": 0, "warming": 1}[state]
    assert found["eta_s"] is None or found["eta_s"] >= 0


@pytest.mark.parametrize("state", STATES)
def test_W32_grpc_inference_before_ready_is_told_when_to_come_back(seen: Seen, state: str) -> None:
    error = seen.probes[state]["grpc infer"]
    assert isinstance(error, grpc.RpcError)
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    # The gRPC port opens late in loading; the answer may already be that of warming.
    assert any(each in error.details() for each in STATES[STATES.index(state) :])
    if state == "warming":
        assert "0 of 1 shapes are warm" in error.details()
    status = rpc_status.from_call(error)
    assert status.code == grpc.StatusCode.UNAVAILABLE.value[0]
    (packed,) = status.details
    retry = RetryInfo()
    assert packed.Unpack(retry)
    assert retry.retry_delay.seconds >= 1


def test_W32_no_request_loads_the_model(seen: Seen) -> None:
    assert len(seen.server.events("model_loaded")) == 1
    assert len(set(seen.engine_pids)) == 1


def test_W32_the_same_requests_are_served_once_ready(seen: Seen) -> None:
    probes = seen.probes["ready"]
    assert opened(pictures(probes["v2 infer"])[0]).size == (128, 128)
    assert probes["v1 predict"].status_code == httpx.codes.OK
    assert probes["grpc infer"].outputs[0].name == "generated_image"


def test_W27_fired_up_is_said_once_after_ready_is_true(seen: Seen) -> None:
    events = seen.server.events()
    said = [n for n, each in enumerate(events)
            if each["event"] == "The server is fired up and ready to roll!"]  # fmt: skip
    ready = [n for n, each in enumerate(events)
             if each["event"] == "state" and each["now"] == "ready"]  # fmt: skip
    assert len(said) == len(ready) == 1
    assert said[0] > ready[0]


def test_W26_progress_is_logged_by_shape(seen: Seen) -> None:
    (event,) = seen.server.events("warmup_shape")
    assert event["number"] == "1/1"
    assert event["shape"] == "text-to-image 128x128 batch 1 cfg"
    assert event["seconds"] > 0


def test_W20_W28_warmup_is_kept_out_of_the_users_metrics(seen: Seen) -> None:
    """Read before the first request that was served: only the gate's refusals are counted."""
    found = _samples(seen.metrics)
    drawn = [
        v for key, v in found.items() if key.startswith("kiln_requests_total") and '"ok"' in key
    ]
    assert set(drawn) == {0}, "no protocol has one"
    assert found["kiln_images_total"] == 0
    assert found["kiln_step_seconds_count"] == 0
    assert not [key for key in found if key.startswith("kiln_stage_seconds_count")]
    assert found["kiln_warmup_shapes"] == found["kiln_warmup_shapes_done"] == 1
    passes = [v for key, v in found.items() if key.startswith("kiln_warmup_pass_seconds{")]
    assert 2 <= len(passes) <= 4
    assert min(passes) > 0
    assert found['kiln_state{state="ready"}'] == 1


def test_W22_first_over_steady_is_exported(seen: Seen) -> None:
    (shape,) = seen.server.metadata()["warmup"]["shapes"]
    name = f'kiln_first_over_steady{{shape="{shape["shape"]}"}}'
    assert _samples(seen.metrics)[name] == pytest.approx(shape["first_over_steady"])


def test_W12_W20_the_report_tells_what_was_run(seen: Seen) -> None:
    """``--warmup-steps`` steps a pass, for a model that takes more by default."""
    report = seen.server.metadata()["warmup"]
    (shape,) = report["shapes"]
    assert report["mode"] == "server"
    assert shape["steps"] == WARMUP_STEPS
    assert shape["proven"]
    assert len(shape["passes"]) == len(shape["compiles"])


def _samples(metrics: str) -> dict[str, float]:
    lines = [line.rpartition(" ") for line in metrics.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


# -- other starts ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, Any]]:
    """A server on a terminal that holds early requests, and the answer to one that came while it
    was loading."""
    folder = tmp_path_factory.mktemp("held")
    with ServerProcess(folder, "--gate-hold", "120", terminal=True) as server:
        state = server.wait_live().metadata()["state"]
        answer = server.client.post("/v2/models/embedded/infer", json=body())
        assert state in ("starting", "loading")
        yield server, answer


def test_W32_gate_hold_lets_an_early_request_wait_for_ready(held: tuple[Any, Any]) -> None:
    server, answer = held
    assert opened(pictures(answer)[0]).size == (128, 128)
    assert server.status("/v2/health/ready") == httpx.codes.OK


def test_W26_progress_bar_on_a_terminal(held: tuple[Any, Any]) -> None:
    log = held[0].log()
    assert "Warming up" in log
    assert "1/1 text-to-image 128x128 batch 1 cfg" in log
    assert "━" in log, "the bar itself"
    assert "warmup_shape" not in log, "the bar stands in for the events"


def test_W33_a_failed_start_is_live_and_never_ready_until_it_ends(
    start_server: Callable[..., ServerProcess], pipeline_copy: Path
) -> None:
    (weights,) = (pipeline_copy / "unet").glob("*.safetensors")
    weights.write_bytes(b"\xff" * 4096)
    server = start_server("--model", str(pipeline_copy)).wait_live()
    statuses: dict[str, set[int]] = {"/v2/health/live": set(), "/v2/health/ready": set()}
    with grpc.insecure_channel(server.grpc_address) as channel:
        health = health_pb2_grpc.HealthStub(channel)

        def ended() -> bool:
            for path, found in statuses.items():
                found.add(server.status(path))
            with contextlib.suppress(grpc.RpcError):
                assert health.Check(health_pb2.HealthCheckRequest()).status != SERVING
            return server.process.poll() is not None

        wait_until(ended, "the process ends")
    assert server.wait_exit() == 4
    assert statuses["/v2/health/live"] >= {httpx.codes.OK}
    assert statuses["/v2/health/ready"] <= {httpx.codes.SERVICE_UNAVAILABLE, 0}
    reason = server.termination_message.read_text()
    assert "unet" in reason
    assert f"kiln: {reason}" in server.log()
