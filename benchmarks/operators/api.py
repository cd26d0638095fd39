"""The API server as the benchmark asks it: paths in, plain objects out."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import kubernetes
import urllib3

from ..errors import NotMeasurable

TIMEOUT_SECONDS: Final = 60.0
JSON: Final = "application/json"
APPLY: Final = "application/apply-patch+yaml"
MERGE: Final = "application/merge-patch+json"
# A watch is to last as long as the measurement.
WATCH_SECONDS: Final = 4 * 3600
NOT_FOUND: Final = 404


class Api:
    """As the user of ``kubeconfig``. Threads may share it."""

    def __init__(self, kubeconfig: Path) -> None:
        settings = kubernetes.client.Configuration()
        load: Any = kubernetes.config.load_kube_config
        load(str(kubeconfig), client_configuration=settings)
        self._host = settings.host
        self._pool = kubernetes.client.ApiClient(settings).rest_client.pool_manager

    def close(self) -> None:
        self._pool.clear()

    def call(
        self, method: str, path: str, body: Any = None, content_type: str = JSON
    ) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._answered(method, path, body, content_type))
        return found

    def apply(self, path: str, body: Any) -> dict[str, Any]:
        """On the server's side, as kubectl does, so that it may be there already."""
        return self.call("PATCH", f"{path}?fieldManager=benchmark&force=true", body, APPLY)

    def text(self, path: str) -> str:
        return self._answered("GET", path, None, JSON).decode()

    def exists(self, path: str) -> bool:
        return self._pool.request("GET", self._host + path).status != NOT_FOUND

    def watch(self, path: str, accept: str = JSON) -> Iterator[dict[str, Any]]:
        """Everything that is there, and then each change, until the connection ends."""
        answer = self._pool.request(
            "GET",
            f"{self._host}{path}{'&' if '?' in path else '?'}watch=true"
            f"&timeoutSeconds={WATCH_SECONDS}",
            headers={"Accept": accept},
            preload_content=False,
            timeout=urllib3.Timeout(connect=TIMEOUT_SECONDS, read=None),
        )
        rest = b""
        for chunk in answer.stream():
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (json.loads(line) for line in lines)

    def _answered(self, method: str, path: str, body: Any, content_type: str) -> bytes:
        try:
            answer = self._pool.request(
                method,
                self._host + path,
                body=None if body is None else json.dumps(body),
                headers={"Accept": JSON, "Content-Type": content_type},
                timeout=TIMEOUT_SECONDS,
            )
        except urllib3.exceptions.HTTPError as error:
            raise NotMeasurable(f"{method} {path}: {error}") from error
        if not 200 <= answer.status < 300:
            raise NotMeasurable(f"{method} {path}: {answer.status} {answer.data[:500]!r}")
        return answer.data
