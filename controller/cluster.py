"""The only module that talks to the Kubernetes API. Plain objects in, plain objects out; what
failed is one of the errors below.
"""

import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import client, config

from .api import names
from .api.base import Object
from .api.kinds import EVENT, LEASE, SERVICE, Kind
from .errors import BadInput, ControllerError

TIMEOUT: Final = 30.0
# Objects in one answer.
PAGE: Final = 100
# Every pod has it.
IN_CLUSTER: Final = "KUBERNETES_SERVICE_HOST"
SERVER_ERRORS: Final = 500
APPLY: Final = "application/apply-patch+yaml"
# Which no object has: the API server makes what is not there, and refuses to change what is.
NO_VERSION: Final = "1"
MERGE: Final = "application/merge-patch+json"
ONLY_METADATA: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


class ApiError(ControllerError):
    """The API server said no. ``retry_after``: seconds that it asks for."""

    reason: ClassVar[str] = "ApiError"

    def __init__(self, message: str, status: int, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class NotFound(ApiError):
    """``names_object``: the object is missing, and not its whole kind."""

    reason = "NotFound"
    names_object = True


class Conflict(ApiError):
    reason = "Conflict"


class Forbidden(ApiError):
    reason = "Forbidden"


class Refused(ApiError):
    """A webhook or the schema refused what we wrote."""

    reason = "Refused"


class NotLeading(ApiError):
    """It was not sent: another operator may lead by now."""

    reason = "NotLeading"


class Unreachable(ApiError):
    """No answer, or one that says to try again. ``answered``: it works, and failed at this."""

    reason = "Unreachable"

    @property
    def answered(self) -> bool:
        return self.status >= SERVER_ERRORS and self.retry_after is None


BY_STATUS: Final[Mapping[int, type[ApiError]]] = {
    400: Refused,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    422: Refused,
}


@asynccontextmanager
async def connected(kubeconfig: str | None) -> AsyncIterator["Cluster"]:
    """A connection by ``kubeconfig``, or by $KUBECONFIG, or the pod's own account, or the user's
    file.

    Raises:
        BadInput: none of these is there.
    """
    # A kubeconfig may name a proxy. One of the environment would not be that of the watches, and to
    # look for it, and for passwords in ~/.netrc, costs two threads' time for each call.
    settings = client.Configuration(client_session_kwargs={"trust_env": False})
    try:
        if kubeconfig is None and "KUBECONFIG" not in os.environ and IN_CLUSTER in os.environ:
            load_own: Any = config.load_incluster_config
            load_own(client_configuration=settings)
        else:
            load: Any = config.load_kube_config
            await load(kubeconfig, client_configuration=settings)
    except (config.ConfigException, OSError) as error:
        raise BadInput(
            f"no cluster: {error}; give --kubeconfig FILE, or run in a pod with a service account"
        ) from error
    async with client.ApiClient(settings) as api:
        yield Cluster(api)


class Cluster:
    """Counts nothing and retries nothing: its callers do. ``may_write`` is asked before each write
    but those of a lease, in the same breath. ``answered`` hears of each kind that it serves.
    """

    def __init__(self, api: client.ApiClient) -> None:
        self._api = api
        self.may_write: Callable[[], bool] = lambda: True
        self.answered: Callable[[Kind], None] = lambda kind: None

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """The object, or None.

        Raises:
            NotFound: the cluster does not know the kind.
        """
        try:
            return await self._call("GET", kind.path(namespace, name))
        except NotFound as error:
            if error.names_object:
                return None
            raise

    async def pages(
        self, kind: Kind, namespace: str | None, selector: str
    ) -> AsyncIterator[list[Object]]:
        """All objects of a kind, a page at a time, so that they are never all there twice.

        Raises:
            NotFound: the cluster does not know the kind.
        """
        query = {"limit": str(PAGE), **_selected(selector)}
        while True:
            found = await self._call("GET", kind.path(namespace), query=query)
            self.answered(kind)
            yield found["items"] or []  # null, when it has none
            more = found["metadata"].get("continue")
            if not more:
                return
            query["continue"] = more

    async def metadata(self, kind: Kind, namespace: str | None, selector: str) -> list[Object]:
        """Of all objects of a kind. It may be a moment old: the server's cache answers.

        Raises:
            NotFound: the cluster does not know the kind.
        """
        query = {"resourceVersion": "0", **_selected(selector)}
        headers = {"Accept": ONLY_METADATA}
        found = await self._call("GET", kind.path(namespace), query=query, headers=headers)
        self.answered(kind)
        return [each["metadata"] for each in found["items"] or ()]

    async def serves(self, kind: Kind) -> bool:
        """Whether the cluster knows the kind."""
        try:
            found = await self._call("GET", f"/apis/{kind.api_version}")
        except NotFound:
            return False
        served = any(each["name"] == kind.plural for each in found.get("resources", ()))
        if served:
            self.answered(kind)
        return served

    async def apply(self, kind: Kind, body: Object) -> Object:
        """Server-side apply. What we say is ours, whoever said otherwise."""
        return await self._apply(kind, body)

    async def apply_new(self, kind: Kind, body: Object) -> Object:
        """Server-side apply, of an object that is not there.

        Raises:
            Conflict: one of its name is there.
        """
        metadata = {**body["metadata"], "resourceVersion": NO_VERSION}
        return await self._apply(kind, {**body, "metadata": metadata})

    async def _apply(self, kind: Kind, body: Object) -> Object:
        metadata = body["metadata"]
        applied = await self._write(
            "PATCH",
            kind.path(metadata["namespace"], metadata["name"]),
            query={"fieldManager": names.FIELD_MANAGER, "force": "true"},
            body=body,
            content_type=APPLY,
        )
        self.answered(kind)
        return applied

    async def create(self, kind: Kind, body: Object) -> Object:
        """Make an object that is not there yet; the object as it was stored."""
        return await self._write("POST", kind.path(body["metadata"]["namespace"]), body=body)

    async def delete(self, kind: Kind, body: Object) -> None:
        """Delete this very object, and not another of its name."""
        metadata = body["metadata"]
        precondition = {"preconditions": {"uid": metadata["uid"]}}
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        try:
            await self._write(
                "DELETE",
                kind.path(metadata["namespace"], metadata["name"]),
                body={**options, **precondition},
            )
        except NotFound:
            return

    async def write_status(self, namespace: str, name: str, uid: str, status: Object) -> Object:
        """Replace what changed of the status. Of another object with this name, it is refused."""
        return await self._write(
            "PATCH",
            SERVICE.path(namespace, name, "status"),
            query={"fieldManager": names.FIELD_MANAGER},
            body={"metadata": {"uid": uid}, "status": status},
            content_type=MERGE,
        )

    async def post_event(self, namespace: str, event: Object) -> None:
        await self._write("POST", EVENT.path(namespace), body=event)

    async def write_lease(self, lease: Object, *, new: bool) -> Object:
        """Raises:
        Conflict: somebody else wrote it since it was read.
        """
        metadata = lease["metadata"]
        if new:
            return await self._call("POST", LEASE.path(metadata["namespace"]), body=lease)
        path = LEASE.path(metadata["namespace"], metadata["name"])
        return await self._call("PUT", path, body=lease)

    async def _write(self, method: str, path: str, **given: Any) -> Object:
        if not self.may_write():
            raise NotLeading(f"{method} {path}: the lease was not renewed in time", 0)
        return await self._call(method, path, **given)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Object | None = None,
        content_type: str = "application/json",
    ) -> Object:
        try:
            verb, url, sent, content, _ = await self._api.param_serialize(
                method,
                path + (f"?{urlencode(query)}" if query else ""),
                header_params={
                    "Accept": "application/json",
                    "Content-Type": content_type,
                    **(headers or {}),
                },
                body=body,
                auth_settings=["BearerToken"],
            )
            answer: Any = await self._api.call_api(
                verb, url, sent, content, _request_timeout=TIMEOUT
            )
            text = await answer.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unreachable(f"{method} {path}: {type(error).__name__}: {error}", 0) from error
        return _read(method, path, answer, text)


def _selected(selector: str) -> dict[str, str]:
    return {"labelSelector": selector} if selector else {}


def _read(method: str, path: str, answer: Any, text: bytes) -> Object:
    try:
        found: Object = json.loads(text) if text else {}
    except ValueError:
        found = {"message": text[:200].decode(errors="replace")}
    if 200 <= answer.status < 300:
        return found
    said = found.get("message") or answer.reason
    asked = answer.headers.get("Retry-After", "")
    error = BY_STATUS.get(answer.status, Unreachable)(
        f"{method} {path}: {said}", answer.status, float(asked) if asked.isdigit() else None
    )
    if isinstance(error, NotFound):
        error.names_object = bool((found.get("details") or {}).get("name"))
    raise error
