"""What users of a model server do: most ask for what is warm, and some do not."""

import http.client
import json
import random
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any, Final

from ..rest import infer_request
from ..server import MODEL
from .patience import SECONDS
from .prometheus import HOST

Parameters = dict[str, Any]

WARM: Final[tuple[Parameters, ...]] = ({"width": 128, "height": 128}, {"width": 192, "height": 128})
COLD: Final[Parameters] = {"width": 160, "height": 160}
STEPS: Final = 8
# More than a minute of work, which nobody waits for.
ENDLESS: Final[Parameters] = {"num_inference_steps": 1000}
WRONG: Final[Parameters] = {"num_inference_steps": 0}
HURRIED: Final[Parameters] = {"timeout_s": 0.001}
PROMPTS: Final = (
    "a fox on a yellow background",
    "a panda on a blue background",
    "a red apple on a white background",
    "a small purple balloon on a cyan background",
)
# More than the engine and a short queue hold.
CROWD: Final = 6


class Users:
    """Of the server at ``port``. ``answers`` counts what they got, by status: 0 where the
    connection broke."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._choice = random.Random(port)  # noqa: S311
        self.answers: Counter[int] = Counter()

    def ask(self, parameters: Parameters) -> int:
        """One request; its status."""
        return self._all([parameters])

    def round(self) -> None:
        """Some who come one after the other, one of them with a size that nobody warmed up, and one
        with a mistake; then a crowd at once."""
        calm = [self._choice.choice(WARM) for _ in range(3)]
        for parameters in (*calm, COLD, WRONG):
            self.ask(parameters)
        self._all([WARM[0]] * CROWD)

    def _all(self, several: Iterable[Parameters]) -> int:
        """At the same time; the last one's status."""
        with ThreadPoolExecutor(CROWD) as pool:
            statuses = list(pool.map(self._status, several))
        self.answers.update(statuses)
        return statuses[-1]

    def _status(self, parameters: Parameters) -> int:
        asked = {"num_inference_steps": STEPS, "seed": 7, **parameters}
        body = json.dumps(infer_request(self._choice.choice(PROMPTS), asked, binary=False))
        connection = http.client.HTTPConnection(HOST, self._port, timeout=SECONDS)
        try:
            connection.request("POST", f"/v2/models/{MODEL}/infer", body)
            answer = connection.getresponse()
            answer.read()
            return HTTPStatus(answer.status)
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()
