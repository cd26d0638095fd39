"""A server that runs somewhere, asked over the v2 protocol by the standard library alone."""

import base64
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, Final

from ..errors import StartupError
from .drawn import Drawn
from .wishes import Wish

HERE: Final = "http://localhost:8080"
# Metadata; drawing takes as long as the server lets it.
SECONDS: Final = 10.0
# Between two questions of whether it is Ready.
PAUSE_SECONDS: Final = 0.5
OUTPUTS: Final = {"generated_image": "png", "generated_video": "mp4"}
JSON: Final = {"Content-Type": "application/json"}

Tell = Callable[[str], None]


class NotDrawn(StartupError):
    """The server does not answer, or not with a picture."""

    exit_code = 1


class Server:
    """``base``: such as http://localhost:8080.

    Raises:
        NotDrawn: there is nobody, or no server of ours.
    """

    def __init__(self, base: str) -> None:
        self.base = base.rstrip("/")
        if not self.base.startswith(("http://", "https://")):
            raise NotDrawn(f"--url: {base!r} is no address; write http://HOST:PORT")
        # W35: a proxy named in the environment is for the world outside, not for our own servers.
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
        try:
            self.model = str(self._get("/v2/models")["models"][0])
        except (LookupError, TypeError) as error:
            raise NotDrawn(f"--url: {self.base} is no server of Kiln's") from error

    def wait_ready(self, seconds: float, tell: Tell) -> None:
        """Until it is Ready; ``tell`` hears of its progress.

        Raises:
            NotDrawn: it was not within so many ``seconds``.
        """
        deadline = time.monotonic() + seconds
        while True:
            status, answer = self._call("/v2/health/ready", None, SECONDS)
            if status == http.client.OK:
                return
            said = str(answer.get("error", f"it answers {status}"))
            left = deadline - time.monotonic()
            if left <= 0:
                raise NotDrawn(f"{self.base} is not Ready: {said}")
            tell(said)
            time.sleep(min(PAUSE_SECONDS, left))

    def draw(self, wish: Wish) -> Drawn:
        """Raises:
        NotDrawn: the server's reason.
        """
        chosen = wish.output_format or self._usual_format()
        body = json.dumps(_request(wish, chosen)).encode()
        status, answer = self._call(f"/v2/models/{self.model}/infer", body, None)
        if status != http.client.OK:
            raise NotDrawn(str(answer.get("error", f"{self.base} answers {status}")))
        try:
            (output,) = answer["outputs"]
            files = [base64.b64decode(each) for each in output["data"]]
            return Drawn(files, chosen, dict(answer["parameters"]))
        except (LookupError, TypeError, ValueError) as error:
            raise NotDrawn(f"{self.base} answers with something else than a picture") from error

    def _usual_format(self) -> str:
        described = self._get(f"/v2/models/{self.model}")
        return OUTPUTS.get(described["outputs"][0]["name"], "png")

    def _get(self, path: str) -> dict[str, Any]:
        status, answer = self._call(path, None, SECONDS)
        if status != http.client.OK:
            raise NotDrawn(f"--url: {self.base}{path} answers {status}")
        return answer

    def _call(
        self, path: str, body: bytes | None, seconds: float | None
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON; an error's, too."""
        request = urllib.request.Request(f"{self.base}{path}", body, JSON)  # noqa: S310
        try:
            with self._open(request, timeout=seconds) as answer:
                return answer.status, _parsed(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _parsed(error.read())
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise NotDrawn(
                f"nobody answers at {self.base} ({reason}); start a server: python -m model serve"
            ) from error


def _request(wish: Wish, output_format: str) -> dict[str, Any]:
    texts = {"prompt": wish.prompt, "negative_prompt": wish.negative_prompt}
    if wish.image is not None:
        texts["image"] = base64.b64encode(wish.image).decode("ascii")
    return {
        "inputs": [
            {"name": name, "shape": [1], "datatype": "BYTES", "data": [text]}
            for name, text in texts.items()
            if text is not None
        ],
        "parameters": {**wish.parameters, "output_format": output_format},
    }


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
