"""``try``: whether an installation works, asked as a user would. A DiffusionService is applied,
must become Ready, draws one picture over KServe's protocol, and is removed again.

``helm test`` runs it in the cluster, with the rights of a user and none of the operator's.
"""

import asyncio
import base64
import json
import secrets
import signal
import sys
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import aiohttp

from .api import names
from .api.base import Object
from .api.kinds import SERVICE
from .api.validation import validated
from .cluster import Cluster, Unreachable, connected
from .errors import BadInput, ControllerError
from .service import Service

NAME: Final = "kiln-try"
PROMPT: Final = "a fox on a yellow background"
PNG: Final = b"\x89PNG"
POLL: Final = 2.0
# A Ready pod is not yet known to every node.
REACHED: Final = 30.0


class NotServed(ControllerError):
    """It did not come to a picture, and why."""


@dataclass(frozen=True, slots=True)
class Trial:
    """``spec`` as JSON; ``timeout``: seconds until the service must be Ready."""

    namespace: str
    spec: str
    timeout: float
    kubeconfig: str | None

    def body(self) -> Object:
        """What is applied. Several may try at the same time.

        Raises:
            BadInput: the spec is no JSON object.
            InvalidService: the API server would refuse it.
        """
        try:
            spec: Any = json.loads(self.spec)
        except ValueError as error:
            raise BadInput(f"--spec: {error}; write the spec as JSON") from error
        if not isinstance(spec, dict):
            raise BadInput("--spec: write an object, such as {}")
        body: Object = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {
                "name": f"{NAME}-{secrets.token_hex(3)}",
                "namespace": self.namespace,
                "labels": {"app.kubernetes.io/managed-by": NAME},
            },
            "spec": spec,
        }
        validated(body)
        return body

    async def run(self) -> int:
        """The exit status. The service is removed however it ends.

        Raises:
            ControllerError: why there is no picture.
        """
        body = self.body()
        work = asyncio.ensure_future(self._work(body))
        # A pod that is told to end must not leave its service behind.
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, work.cancel)
        try:
            await work
        except asyncio.CancelledError:
            raise NotServed("interrupted") from None
        return 0

    async def _work(self, body: Object) -> None:
        async with connected(self.kubeconfig) as cluster:
            made = await cluster.create(SERVICE, body)
            _say(f"{_name(made)}: applied")
            try:
                service = await self._ready(cluster, made)
                await _draw(service)
            finally:
                await cluster.delete(SERVICE, made)
                _say(f"{_name(made)}: removed")

    async def _ready(self, cluster: Cluster, made: Object) -> Service:
        said = ""
        try:
            async with asyncio.timeout(self.timeout):
                while True:
                    found = await self._found(cluster, made)
                    now = _words(found)
                    if now != said:
                        _say(f"{_name(made)}: {now}")
                        said = now
                    if _is(found, "Ready"):
                        return Service.read(found)
                    if _is(found, "Stalled"):
                        raise NotServed(f"{_name(made)} will not become Ready: {now}")
                    await asyncio.sleep(POLL)
        except TimeoutError as error:
            raise NotServed(
                f"{_name(made)} is not Ready after {self.timeout:g} s: "
                f"{said or 'no operator has looked at it: is one running for this namespace?'}"
            ) from error

    async def _found(self, cluster: Cluster, made: Object) -> Object:
        try:
            found = await cluster.get(SERVICE, self.namespace, made["metadata"]["name"])
        except Unreachable as error:
            _say(f"{error}; trying again")
            return made
        if found is None:
            raise NotServed(f"{_name(made)} was removed by somebody else")
        return found


async def _draw(service: Service) -> None:
    """One picture, through the address that users have."""
    if not service.status.url:
        raise NotServed(f"{service.namespace}/{service.name} is Ready, and has no address")
    url = f"{service.status.url}/v2/models/{service.model_name}/infer"
    asked = {
        "inputs": [{"name": "prompt", "shape": [1], "datatype": "BYTES", "data": [PROMPT]}],
        "parameters": {"seed": 7},
    }
    loop = asyncio.get_running_loop()
    deadline = loop.time() + REACHED
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.post(url, json=asked) as answer:
                    status, text = answer.status, await answer.text()
                break
            except (aiohttp.ClientError, TimeoutError) as error:
                if loop.time() > deadline:
                    raise NotServed(f"{url}: Ready, and not reached: {error}") from error
                await asyncio.sleep(POLL)
    picture = _picture(text) if status == HTTPStatus.OK else b""
    if not picture.startswith(PNG):
        raise NotServed(f"{url} answered {status} and no PNG: {text[:300]}")
    _say(f"{service.namespace}/{service.name}: drew {PROMPT!r}, a PNG of {len(picture)} bytes")


def _picture(text: str) -> bytes:
    """Empty, where the answer has none."""
    try:
        return base64.b64decode(json.loads(text)["outputs"][0]["data"][0])
    except (ValueError, LookupError, TypeError):
        return b""


def _words(body: Object) -> str:
    ready = _condition(body, "Ready")
    return f"{ready.get('reason', '')}: {ready.get('message', '')}" if ready else ""


def _is(body: Object, kind: str) -> bool:
    return bool(_condition(body, kind).get("status") == "True")


def _condition(body: Object, kind: str) -> Object:
    conditions = (body.get("status") or {}).get("conditions") or []
    return next((each for each in conditions if each["type"] == kind), {})


def _name(body: Object) -> str:
    return f"{body['metadata']['namespace']}/{body['metadata']['name']}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
