"""What the drills share: requests that last, looks at what a server does, and how it ended."""

import base64
import contextlib
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

import grpc
import httpx
import orjson
import psutil
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages
from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc as services
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.support.server import MODEL, START_SECONDS, ServerProcess, wait_until

# The most that the model's scheduler knows: half a minute and more, which no drill waits for.
ENDLESS: Final = 1000
PATIENCE: Final = 90.0
# Processor time after which a request has certainly done some steps.
SOME_STEPS: Final = 0.3


def body(steps: int = 4, **parameters: Any) -> dict[str, Any]:
    """A v2 request for one picture."""
    return {
        "inputs": [{"name": "prompt", "shape": [1], "datatype": "BYTES", "data": ["a red fox"]}],
        "parameters": {"seed": 7, "num_inference_steps": steps, **parameters},
    }


def url(server: ServerProcess) -> str:
    return f"{server.base_url}/v2/models/{MODEL}/infer"


def draw(server: ServerProcess, steps: int = 4, **parameters: Any) -> httpx.Response:
    """Ask over REST, and wait for the answer."""
    return httpx.post(
        url(server), json=body(steps, **parameters), timeout=PATIENCE, trust_env=False
    )


def picture(server: ServerProcess) -> bytes:
    """The same picture each time."""
    answer = draw(server)
    assert answer.status_code == httpx.codes.OK, answer.text[:300]
    return base64.b64decode(answer.json()["outputs"][0]["data"][0])


@contextlib.contextmanager
def asked(server: ServerProcess, steps: int = ENDLESS) -> Iterator[Future[httpx.Response]]:
    """A request over REST that runs while the block does."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(draw, server, steps)
        wait_drawing(server)
        yield future


@contextlib.contextmanager
def grpc_call(server: ServerProcess, steps: int = ENDLESS) -> Iterator[Any]:
    """A call over gRPC that is under way."""
    request = messages.ModelInferRequest(model_name=MODEL)
    request.inputs.add(name="prompt", shape=[1], datatype="BYTES").contents.bytes_contents.append(
        b"a red fox"
    )
    request.parameters["num_inference_steps"].int64_param = steps
    with grpc.insecure_channel(server.grpc_address) as channel:
        stub = services.GRPCInferenceServiceStub(channel)
        call = stub.ModelInfer.future(request, timeout=PATIENCE, wait_for_ready=True)
        wait_until(lambda: metric(server, "kiln_requests_in_flight") >= 1, "the call is in flight")
        yield call


def open_request(server: ServerProcess, steps: int = ENDLESS) -> socket.socket:
    """A request over a connection that the test can break."""
    content = orjson.dumps(body(steps))
    head = (
        f"POST /v2/models/{MODEL}/infer HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    connection = socket.create_connection(("127.0.0.1", server.http_port), timeout=PATIENCE)
    connection.sendall(head.encode() + content)
    return connection


def wait_drawing(server: ServerProcess) -> None:
    """Until the engine is some steps into a request."""
    wait_until(lambda: metric(server, "kiln_requests_in_flight") >= 1, "a request is in flight")
    wait_busy(server)


def wait_busy(server: ServerProcess) -> None:
    """Until the engine has worked for some steps from now on."""
    before = busy_seconds(server)
    wait_until(lambda: busy_seconds(server) > before + SOME_STEPS, "the engine draws")


def busy_seconds(server: ServerProcess) -> float:
    return float(engine_of(server).cpu_times().user)


def engine_of(server: ServerProcess) -> psutil.Process:
    return wait_until(server.engine, "the engine's process is there")


def metric(server: ServerProcess, name: str, **labels: str) -> float:
    """The sum of the samples of this name and these labels."""
    text = server.client.get("/metrics").text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def outcomes(server: ServerProcess, outcome: str) -> float:
    return metric(server, "kiln_requests_total", outcome=outcome)


def assert_failed(server: ServerProcess, status: int, *words: str) -> None:
    """The process ends with the status, and says why on its log and in the termination message."""
    # Where it is the start that fails, it takes as long as a start.
    assert server.wait_exit(START_SECONDS) == status, server.log_tail()
    message = server.termination_message.read_text()
    for word in words:
        assert word in message
    assert f"kiln: {message}" in server.log().splitlines(), server.log_tail()


def assert_stopped(server: ServerProcess) -> None:
    """The process ends well, and nothing calls it a failure."""
    assert server.wait_exit() == 0, server.log_tail()
    assert not server.termination_message.exists()
    assert server.events("failed") == []
    assert "Traceback" not in server.log(), server.log()
