"""What answers of an API server become, over real HTTP (C10, C14)."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from controller.api.kinds import DEPLOYMENT, INFERENCE_SERVICE, SERVICE, Kind
from controller.api.status import Status
from controller.children import Children
from controller.cluster import (
    NO_VERSION,
    PAGE,
    Cluster,
    Conflict,
    Forbidden,
    NotFound,
    NotLeading,
    Refused,
    Unreachable,
    connected,
)
from controller.errors import BadInput
from controller.inquiry import Inquiry
from controller.metrics import Metrics
from controller.observed import Observed, ServiceKey
from controller.reconciler import Reconciler
from controller.service import Service

from .conftest import body_of

Answer = Callable[[web.Request], Awaitable[web.Response]]
Server = tuple[Cluster, list[Answer]]
KEY = ServiceKey("art", "fox")
BODY = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "fox", "namespace": "art", "labels": {"kiln.dev/service": "fox"}},
}


def says(status: int, body: Any = None, **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(body, status=status, headers=headers)

    return answer


def kubeconfig(folder: Path, server: str) -> str:
    path = folder / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(path)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """A connection, and the answers that it gets, in their order; the last one stays."""
    answers: list[Answer] = []

    async def answer(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer secret"
        act = answers.pop(0) if len(answers) > 1 else answers[0]
        return await act(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with connected(kubeconfig(tmp_path, address)) as cluster:
        yield cluster, answers
    await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, Refused),
        (403, Forbidden),
        (409, Conflict),
        (410, Unreachable),
        (422, Refused),
        (429, Unreachable),
        (500, Unreachable),
        (503, Unreachable),
    ],
)
async def test_c10_statuses_become_errors_with_the_servers_words(
    server: Server, status: int, error: type[Exception]
) -> None:
    cluster, answers = server
    answers.append(says(status, {"message": "so it is"}))
    with pytest.raises(error, match=r"PATCH /apis/apps/v1/.*/deployments/fox.*so it is"):
        await cluster.apply(DEPLOYMENT, BODY)


async def test_c10_a_server_that_asks_for_patience_is_given_it(server: Server) -> None:
    cluster, answers = server
    answers.append(says(429, {"message": "slow down"}, **{"Retry-After": "7"}))
    with pytest.raises(Unreachable) as refusal:
        await cluster.apply(DEPLOYMENT, BODY)
    assert refusal.value.retry_after == 7
    assert not refusal.value.answered


async def test_a_missing_object_is_none_and_a_missing_kind_is_an_error(server: Server) -> None:
    cluster, answers = server
    answers[:] = [says(404, {"message": "not found", "details": {"name": "fox"}})]
    assert await cluster.get(DEPLOYMENT, "art", "fox") is None
    answers[:] = [says(404, {"message": "the server could not find the requested resource"})]
    with pytest.raises(NotFound):
        await cluster.get(INFERENCE_SERVICE, "art", "fox")
    assert not await cluster.serves(INFERENCE_SERVICE)


async def test_c07_of_every_kind_that_the_server_knows_is_told_and_of_no_other(
    server: Server,
) -> None:
    cluster, answers = server
    told: list[Kind] = []
    cluster.answered = told.append
    served = {"resources": [{"name": INFERENCE_SERVICE.plural}]}
    for answer in ({"metadata": {}, "items": []}, BODY, served):
        answers[:] = [says(200, answer)]
        told.clear()
        if answer is served:
            assert await cluster.serves(INFERENCE_SERVICE)
            assert not await cluster.serves(DEPLOYMENT)
            assert told == [INFERENCE_SERVICE]
        elif answer is BODY:
            await cluster.apply(DEPLOYMENT, BODY)
            await cluster.apply_new(DEPLOYMENT, BODY)
            assert told == [DEPLOYMENT, DEPLOYMENT]
        else:
            await cluster.metadata(DEPLOYMENT, None, "a")
            [page async for page in cluster.pages(SERVICE, None, "")]
            assert told == [DEPLOYMENT, SERVICE]

    answers[:] = [says(404, {"message": "the server could not find the requested resource"})]
    told.clear()
    assert not await cluster.serves(INFERENCE_SERVICE)
    with pytest.raises(NotFound):
        await cluster.metadata(INFERENCE_SERVICE, None, "a")
    with pytest.raises(NotFound):
        await cluster.apply(INFERENCE_SERVICE, BODY)
    assert not told


async def test_an_empty_list_may_be_null(server: Server) -> None:
    cluster, answers = server
    answers.append(says(200, {"metadata": {}, "items": None}))
    assert await cluster.metadata(DEPLOYMENT, None, "a") == []
    assert [page async for page in cluster.pages(DEPLOYMENT, None, "a")] == [[]]


async def test_long_lists_come_in_pages(server: Server) -> None:
    cluster, answers = server
    asked: list[dict[str, str]] = []

    def page(number: int, more: str) -> Answer:
        async def answer(request: web.Request) -> web.Response:
            asked.append(dict(request.query))
            return web.json_response({"metadata": {"continue": more}, "items": [{"n": number}]})

        return answer

    answers[:] = [page(1, "there is more"), page(2, "")]
    found = [page async for page in cluster.pages(DEPLOYMENT, None, "a")]
    assert found == [[{"n": 1}], [{"n": 2}]]
    assert [each.get("continue") for each in asked] == [None, "there is more"]
    assert all((each["limit"], each["labelSelector"]) == (str(PAGE), "a") for each in asked)


async def test_a_proxy_of_the_environment_does_not_stand_between(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, answers = server
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    answers.append(says(200, BODY))
    assert await cluster.get(DEPLOYMENT, "art", "fox") == BODY


async def test_c10_garbage_and_silence_are_no_crash(server: Server, tmp_path: Path) -> None:
    cluster, answers = server

    async def garbage(_: web.Request) -> web.Response:
        return web.Response(status=502, text="<html>Bad gateway</html>")

    answers.append(garbage)
    with pytest.raises(Unreachable, match="Bad gateway"):
        await cluster.get(DEPLOYMENT, "art", "fox")
    async with connected(kubeconfig(tmp_path, "http://127.0.0.1:1")) as nobody:
        with pytest.raises(Unreachable) as refusal:
            await nobody.get(DEPLOYMENT, "art", "fox")
    assert not refusal.value.answered


async def test_a_kubeconfig_that_is_not_there_is_wrong_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="give --kubeconfig FILE"):
        async with connected(str(tmp_path / "none")):
            pass


def children(cluster: Cluster) -> Children:
    return Children(cluster, Observed(), Metrics())


TAKEN = says(409, {"message": "the object has been modified"})


def written(asked: list[tuple[str, Any]]) -> Answer:
    """Accepts a write, and keeps its method and the version that it is for."""

    async def answer(request: web.Request) -> web.Response:
        body = await request.json()
        asked.append((request.method, body["metadata"].get("resourceVersion")))
        return web.json_response(body)

    return answer


async def test_c08_a_new_child_costs_one_call(server: Server) -> None:
    cluster, answers = server
    asked: list[tuple[str, Any]] = []
    answers[:] = [written(asked), says(500, {"message": "asked again"})]
    assert await children(cluster).bring_about(KEY, "1", [BODY]) == ((), 1)
    assert asked == [("PATCH", NO_VERSION)]


async def test_c07_a_child_that_lost_its_label_is_found_and_written(server: Server) -> None:
    cluster, answers = server
    owner = {"kind": "DiffusionService", "name": "fox", "uid": "1", "controller": True}
    metadata = {"name": "fox", "namespace": "art", "ownerReferences": [owner]}
    asked: list[tuple[str, Any]] = []
    answers[:] = [TAKEN, says(200, {**BODY, "metadata": metadata}), written(asked)]
    assert await children(cluster).bring_about(KEY, "1", [BODY]) == ((), 1)
    assert asked == [("PATCH", None)]


async def test_c05_a_server_that_fails_at_one_object_is_told_in_the_status(server: Server) -> None:
    cluster, answers = server
    answers[:] = [says(500, {"message": "range is full"})]
    trouble, writes = await children(cluster).bring_about(KEY, "1", [BODY])
    assert ([each.reason for each in trouble], writes) == (["Retrying"], 0)
    assert "range is full" in trouble[0].message


async def test_c10_a_server_that_asks_to_come_later_is_left_alone(server: Server) -> None:
    cluster, answers = server
    answers[:] = [says(503, {"message": "busy"}, **{"Retry-After": "1"})]
    with pytest.raises(Unreachable):
        await children(cluster).bring_about(KEY, "1", [BODY])


async def test_c07_an_object_of_another_owner_is_not_written(server: Server) -> None:
    cluster, answers = server
    owner = {"kind": "Deployer", "name": "x", "uid": "2", "controller": True}
    metadata = {**BODY["metadata"], "uid": "3", "ownerReferences": [owner]}  # type: ignore[dict-item]
    there = says(200, {**BODY, "metadata": metadata})
    answers[:] = [TAKEN, there, says(500, {"message": "written"})]
    trouble, writes = await children(cluster).bring_about(KEY, "1", [BODY])
    assert (trouble[0].reason, writes) == ("Conflict", 0)
    assert "belongs to Deployer x" in trouble[0].message


async def test_c10_a_conflict_that_the_server_tells_of_is_tried_again(server: Server) -> None:
    cluster, answers = server
    absent = says(404, {"details": {"name": "fox"}})
    modified = says(409, {"message": "the object has been modified"})
    answers[:] = [modified, absent, modified]
    trouble, _ = await children(cluster).bring_about(KEY, "1", [BODY])
    assert trouble[0].reason == "Retrying", "Conflict says that somebody must do something"


async def test_c10_a_conflict_over_the_status_is_an_error_that_is_tried_again(
    server: Server,
) -> None:
    cluster, answers = server
    answers.append(says(409, {"message": "the object has been modified"}))
    body = body_of({"model": {"uri": "embedded://"}})
    observed = Observed()
    key = observed.put(SERVICE, body)
    assert key
    inquiry = Inquiry(lambda key: None)
    reconciler = Reconciler(cluster, observed, Metrics(), "kiln-model:1", inquiry)
    with pytest.raises(Conflict):
        await reconciler._say(Service.read(body), Status(phase="Ready"))


async def test_c10_what_may_have_been_written_is_looked_at_before_it_is_written_again(
    server: Server,
) -> None:
    cluster, answers = server
    owner = {"kind": "DiffusionService", "name": "fox", "uid": "1", "controller": True}
    metadata = {**BODY["metadata"], "uid": "3", "ownerReferences": [owner]}  # type: ignore[dict-item]
    old = {**BODY, "metadata": {**metadata, "resourceVersion": "1"}, "spec": {"replicas": 1}}
    new = {**BODY, "metadata": metadata, "spec": {"replicas": 2}}
    observed = Observed()
    observed.put(DEPLOYMENT, old)
    several = Children(cluster, observed, Metrics())

    async def lost(request: web.Request) -> web.Response:
        assert request.method == "PATCH"
        assert request.transport
        request.transport.abort()
        return web.Response()

    answers[:] = [lost]
    with pytest.raises(Unreachable):
        await several.bring_about(KEY, "1", [new])
    seen = {**new, "metadata": {**metadata, "resourceVersion": "2"}}
    answers[:] = [says(409, {"message": "it exists"}), says(200, seen), lost]
    assert await several.bring_about(KEY, "1", [new]) == ((), 0)


async def test_c10_nothing_is_sent_by_one_that_may_lead_no_more(server: Server) -> None:
    cluster, answers = server

    async def never(request: web.Request) -> web.Response:
        raise AssertionError(request.method)

    answers[:] = [never]
    cluster.may_write = lambda: False
    for write in (
        cluster.apply(DEPLOYMENT, BODY),
        cluster.delete(DEPLOYMENT, {**BODY, "metadata": {**BODY["metadata"], "uid": "1"}}),  # type: ignore[dict-item]
        cluster.write_status("art", "fox", "1", {}),
        cluster.post_event("art", {}),
    ):
        with pytest.raises(NotLeading):
            await write
