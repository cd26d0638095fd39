"""Users who never stop asking: real requests for pictures, one after the other, of each user in a
thread of its own. What becomes of each of them is written down.
"""

import base64
import contextlib
import http.client
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import grpc
import orjson
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages
from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc as services

from tests.integration.support.requests import body
from tests.integration.support.server import wait_until

PATIENCE: Final = 60.0
OK: Final = "ok"
PNG: Final = b"\x89PNG"
# A client that is told to come again does so; one that finds nobody would else ask without end.
PAUSE: Final = 0.05
DETAILS: Final = "grpc-status-details-bin"


@dataclass(frozen=True, slots=True)
class Outcome:
    """``status``: ``ok``, an HTTP or gRPC status, or the name of what broke. ``retry_after``:
    seconds, where the answer names them. ``sent``: whether the server may have begun with it.
    """

    user: str
    began: float
    ended: float
    status: str
    retry_after: float | None = None
    sent: bool = True
    words: str = ""


Ask = Callable[[], tuple[str, float | None, bool, str]]


class Load:
    """``address``: of the Service, where REST and gRPC have the given ports. ``pictures``: what is
    asked for. Without, they ask what the model is, hundreds of times a second, so that whatever may
    befall a connection between two requests does. ``pause``: seconds between two requests.
    """

    def __init__(
        self,
        address: str,
        http_port: int,
        grpc_port: int,
        model: str,
        *,
        pictures: bool = True,
        pause: float = 0.0,
    ) -> None:
        self.outcomes: list[Outcome] = []
        self._excused: list[Outcome] = []
        self._users: list[str] = []
        self._target = (address, http_port)
        self._grpc = f"{address}:{grpc_port}"
        self._model = model
        self._pictures = pictures
        self._pause = pause
        self._stop = threading.Event()

    @contextlib.contextmanager
    def running(self, *, kept: int = 2, fresh: int = 1, calls: int = 1) -> Iterator["Load"]:
        """So many users with a connection that they keep, with a new one for each request, and over
        gRPC.
        """
        kinds = [(self._kept, kept), (self._fresh, fresh), (self._calls, calls)]
        asked = [
            (kind, f"{kind.__name__[1:]}-{number}")
            for kind, count in kinds
            for number in range(count)
        ]
        self._users = [user for _, user in asked]
        threads = [threading.Thread(target=kind, args=(user,), daemon=True) for kind, user in asked]
        for each in threads:
            each.start()
        try:
            yield self
        finally:
            self._stop.set()
            for each in threads:
                each.join(2 * PATIENCE)
            assert not any(each.is_alive() for each in threads), "a request does not end"

    def served(self, more: int = 10) -> None:
        """Until each user has had ``more`` answers to what was asked since now."""
        began = time.monotonic()

        def enough() -> bool:
            late = [each for each in self.outcomes if each.began > began and each.status == OK]
            return all(sum(each.user == user for each in late) >= more for user in self._users)

        wait_until(enough, f"{more} more answers for each of {self._users}", PATIENCE)

    def failures(self, since: int = 0) -> list[Outcome]:
        """Of all but the first ``since`` requests, but for those that are excused."""
        failed = [each for each in self.outcomes[since:] if each.status != OK]
        return [each for each in failed if each not in self._excused]

    def excuse(self, failures: list[Outcome]) -> None:
        """They had to fail, and did as they should."""
        self._excused += failures

    # -- users ----------------------------------------------------------------------------------

    def _kept(self, user: str) -> None:
        connection = _Connection(*self._target, self._model, self._pictures)
        self._ask_on(user, connection.ask)

    def _fresh(self, user: str) -> None:
        def ask() -> tuple[str, float | None, bool, str]:
            connection = _Connection(*self._target, self._model, self._pictures)
            try:
                return connection.ask()
            finally:
                connection.close()

        self._ask_on(user, ask)

    def _calls(self, user: str) -> None:
        with grpc.insecure_channel(self._grpc, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            stub = services.GRPCInferenceServiceStub(channel)
            self._ask_on(user, lambda: _call(stub, self._model, self._pictures))

    def _ask_on(self, user: str, ask: Ask) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            status, retry_after, sent, words = ask()
            ended = time.monotonic()
            outcome = Outcome(user, began, ended, status, retry_after, sent, words)
            self.outcomes.append(outcome)
            self._stop.wait(self._pause if status == OK else retry_after or PAUSE)


class _Connection:
    """One that is used again and again, as far as the server lets it be."""

    def __init__(self, host: str, port: int, model: str, pictures: bool) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
        self._path = f"/v2/models/{model}"
        self._pictures = pictures

    def ask(self) -> tuple[str, float | None, bool, str]:
        connection = self._connection
        try:
            if connection.sock is None:
                connection.connect()
        except OSError as error:
            return type(error).__name__, None, False, str(error)
        try:
            if self._pictures:
                wanted = orjson.dumps(body(num_inference_steps=1))
                connection.request("POST", f"{self._path}/infer", wanted)
            else:
                connection.request("GET", self._path)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return type(error).__name__, None, True, str(error)
        if answer.status == http.client.OK and not self._pictures:
            return OK, None, True, ""
        if answer.status == http.client.OK:
            picture = base64.b64decode(orjson.loads(content)["outputs"][0]["data"][0])
            return OK if picture.startswith(PNG) else "no picture", None, True, ""
        waiting = answer.headers.get("Retry-After")
        return str(answer.status), float(waiting) if waiting else None, True, content.decode()[:200]

    def close(self) -> None:
        self._connection.close()


def _call(stub: Any, model: str, pictures: bool) -> tuple[str, float | None, bool, str]:
    request = messages.ModelInferRequest(model_name=model)
    prompt = request.inputs.add(name="prompt", shape=[1], datatype="BYTES")
    prompt.contents.bytes_contents.append(b"a red fox")
    request.parameters["num_inference_steps"].int64_param = 1
    try:
        if not pictures:
            stub.ModelMetadata(messages.ModelMetadataRequest(name=model), timeout=PATIENCE)
            return OK, None, True, ""
        answer = stub.ModelInfer(request, timeout=PATIENCE)
    except grpc.RpcError as error:
        sent = "failed to connect" not in error.details()
        return error.code().name, _retry_delay(error), sent, error.details()[:200]
    # KServe's raw form: four bytes of length before each element.
    picture = answer.outputs[0].contents.bytes_contents or [answer.raw_output_contents[0][4:]]
    return OK if picture[0].startswith(PNG) else "no picture", None, True, ""


def _retry_delay(error: Any) -> float | None:
    for name, value in error.trailing_metadata() or ():
        if name == DETAILS:
            info = RetryInfo()
            for each in Status.FromString(value).details:
                if each.Unpack(info):
                    return info.retry_delay.ToMilliseconds() / 1000
    return None
