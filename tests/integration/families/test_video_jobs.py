"""``/v1/videos`` by OpenAI's own SDK against a real server of a tiny video model: jobs from their
request to their file, and what becomes of them when their server ends, however it ends.
"""

import base64
import io
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import av
import httpx
import openai
import pytest

from model.jobs.job import Status
from model.jobs.table import JobTable
from tests.integration.families import tiny
from tests.integration.families.conftest import FRAMES, SIDE
from tests.integration.openai.test_documentation import BLOCKS, RUN
from tests.integration.support.requests import base64_of, opened, png, tensor
from tests.integration.support.server import ServerProcess, wait_until

PROMPT: Final = "a red fox"
KNOBS: Final = {"num_inference_steps": 2, "seed": 7}
LONG: Final = {"num_inference_steps": 1000, "seed": 7}
QUOTA: Final = 3
PAGE: Final = Path(__file__).parents[3] / "docs/videos.md"
PICTURE: Final = png(SIDE, SIDE)
pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")


@pytest.fixture(scope="module")
def folder(saved: Callable[..., Path]) -> Path:
    return saved(tiny.ltx_condition, "films")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[ServerProcess]:
    flags = ("--max-jobs-per-user", str(QUOTA), "--drain-timeout", "1")
    place = folder.with_name("jobs-server")
    with ServerProcess(place, "--model", str(folder), *flags) as running:
        yield running.wait_ready()
        assert running.terminate() == 0, running.log_tail()


def client_of(server: ServerProcess, key: str = "none") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.base_url}/v1", api_key=key, max_retries=0)


@pytest.fixture
def client(server: ServerProcess) -> Iterator[openai.OpenAI]:
    """What a test leaves unfinished is deleted with it."""
    with client_of(server) as made:
        yield made
        for each in made.videos.list():
            if each.status in ("queued", "in_progress"):
                made.videos.delete(each.id)


def frames_of(data: bytes) -> int:
    with av.open(io.BytesIO(data)) as video:
        return sum(1 for _ in video.decode(video=0))


def runs(client: openai.OpenAI, id_: str) -> Any:
    """Until it does, and has done a step."""

    def running() -> Any:
        job = client.videos.retrieve(id_)
        assert job.status in ("queued", "in_progress")
        return job if job.progress > 0 else None

    return wait_until(running, "it runs")


def ended(client: openai.OpenAI, id_: str) -> Any:
    def done() -> Any:
        job = client.videos.retrieve(id_)
        return job if job.status in ("completed", "failed") else None

    return wait_until(done, "it has ended")


def test_a_video_is_made_watched_fetched_and_deleted(
    client: openai.OpenAI, server: ServerProcess
) -> None:
    made = client.videos.create_and_poll(
        prompt=PROMPT, seconds="1", size="96x64", poll_interval_ms=50,
        extra_body={**KNOBS, "fps": 17, "user": "ann"},
    )  # fmt: skip
    assert (made.status, made.progress, made.error) == ("completed", 100, None)
    assert (made.object, made.model, made.prompt) == ("video", "films", PROMPT)
    assert (made.size, made.seconds) == ("96x64", "1")
    assert made.kiln == {
        "seed": 7, "num_frames": 17, "fps": 17.0, "restarts": 0, "durable": False
    }  # fmt: skip
    assert made.completed_at >= made.created_at > 1_700_000_000
    assert made.expires_at == pytest.approx(made.completed_at + 86_400, abs=2)

    film = client.videos.download_content(made.id)
    assert film.response.headers["Content-Type"] == "video/mp4"
    assert frames_of(film.content) == 17
    thumbnail = client.videos.download_content(made.id, variant="thumbnail")
    assert (opened(thumbnail.content).format, opened(thumbnail.content).size) == ("WEBP", (96, 64))
    assert next(iter(client.videos.list(limit=1))).id == made.id

    gone = client.videos.delete(made.id)
    assert (gone.id, gone.deleted, gone.object) == (made.id, True, "video.deleted")
    for call in (client.videos.retrieve, client.videos.download_content, client.videos.delete):
        with pytest.raises(openai.NotFoundError) as raised:
            call(made.id)
        assert raised.value.code == "video_not_found"


async def test_a_video_of_a_picture_is_the_one_that_v2_draws(server: ServerProcess) -> None:
    object_of_a_form = {
        "prompt": PROMPT,
        "input_reference[image_url]": f"data:image/png;base64,{base64_of(PICTURE)}",
        **{name: str(value) for name, value in KNOBS.items()},
    }
    parts = {name: (None, value) for name, value in object_of_a_form.items()}
    async with openai.AsyncOpenAI(base_url=f"{server.base_url}/v1", api_key="none") as client:
        sent = await client.videos.create(
            prompt=PROMPT, input_reference=("mine.png", PICTURE), extra_body=KNOBS
        )
        key = {"Authorization": "Bearer none"}
        other = server.client.post("/v1/videos", files=parts, headers=key).json()
        films = []
        for id_ in (sent.id, other["id"]):
            made = await client.videos.poll(id_, poll_interval_ms=50)
            assert made.status == "completed", made.error
            films.append((await client.videos.download_content(id_)).content)
    body = {
        "inputs": [tensor("prompt", PROMPT), tensor("image", base64_of(PICTURE))],
        "parameters": KNOBS,
    }
    answer = server.client.post("/v2/models/films/infer", json=body).json()
    drawn = base64.b64decode(answer["outputs"][0]["data"][0])
    assert films == [drawn, drawn]
    assert frames_of(drawn) == FRAMES


def test_who_asks_twice_with_one_key_gets_one_job(client: openai.OpenAI) -> None:
    def ask(prompt: str) -> Any:
        return client.videos.create(
            prompt=prompt, extra_body={"num_inference_steps": 2},
            extra_headers={"Idempotency-Key": "once"},
        )  # fmt: skip

    first = ask(PROMPT)
    assert ask(PROMPT).id == first.id
    with pytest.raises(openai.ConflictError) as raised:
        ask("a wolf")
    assert raised.value.code == "idempotency_conflict"


def test_deleting_what_runs_stops_it_at_its_next_step(
    client: openai.OpenAI, server: ServerProcess
) -> None:
    long = client.videos.create(prompt=PROMPT, extra_body=LONG)
    waits = client.videos.create(prompt=PROMPT, extra_body=KNOBS)
    assert (waits.status, waits.progress) == ("queued", 0)
    runs(client, long.id)
    with pytest.raises(openai.NotFoundError) as raised:
        client.videos.download_content(long.id)
    assert raised.value.code == "video_not_ready"
    client.videos.delete(long.id)
    assert ended(client, waits.id).status == "completed"
    reached = [each["id"] for each in server.events("video_ended")]
    assert waits.id in reached
    assert long.id not in reached


def test_a_quota_is_each_users_and_a_key_sees_its_own(
    client: openai.OpenAI, server: ServerProcess
) -> None:
    ids = [
        client.videos.create(prompt=PROMPT, extra_body={**LONG, "user": "ann"}).id
        for _ in range(QUOTA)
    ]
    with pytest.raises(openai.RateLimitError) as raised:
        client.videos.create(prompt=PROMPT, extra_body={**LONG, "user": "ann"})
    assert raised.value.code == "quota_exceeded"
    assert raised.value.response.headers["Retry-After"] == "10"
    ids.append(client.videos.create(prompt=PROMPT, extra_body={**LONG, "user": "bob"}).id)

    pages = list(client.videos.list(limit=2))
    assert [each.id for each in pages][: len(ids)] == ids[::-1], "the newest first, page by page"
    oldest = [each.id for each in client.videos.list(order="asc", after=ids[0])]
    assert oldest == ids[1:]
    with client_of(server, "another") as other:
        assert list(other.videos.list()) == []
        for call in (other.videos.retrieve, other.videos.delete):
            with pytest.raises(openai.NotFoundError):
                call(ids[0])


BAD: Final = [
    ({}, "prompt", "is missing"),
    ({"prompt": ""}, "prompt", "is empty"),
    ({"prompt": 7}, "prompt", "must be text"),
    ({"prompt": PROMPT, "size": "big"}, "size", "WIDTHxHEIGHT"),
    ({"prompt": PROMPT, "size": "100x64"}, "size", "multiple"),
    ({"prompt": PROMPT, "seconds": "long"}, "seconds", "must be a number"),
    ({"prompt": PROMPT, "seconds": 0}, "seconds", "at least"),
    ({"prompt": PROMPT, "seconds": 1000}, "num_frames", "at most 512"),
    ({"prompt": PROMPT, "seconds": 1, "num_frames": 9}, "seconds", "give one"),
    ({"prompt": PROMPT, "num_frames": 10}, "num_frames", "multiple of 8"),
    ({"prompt": PROMPT, "n": 2}, "n", "not a field"),
    ({"prompt": PROMPT, "quality": "high"}, "quality", "not a field"),
    ({"prompt": PROMPT, "user": "u" * 257}, "user", "257"),
    ({"prompt": PROMPT, "input_reference": {"file_id": "f"}}, "input_reference", "file_id"),
    ({"prompt": PROMPT, "input_reference": "!!"}, "input_reference", "not base64"),
    ({"prompt": PROMPT, "input_reference": base64_of(b"x")}, "input_reference", "not a readable"),
    ({"prompt": PROMPT, "input_reference": [base64_of(PICTURE)] * 2}, "input_reference", "2 files"),
]


@pytest.mark.parametrize(("body", "field", "words"), BAD, ids=[each[1] for each in BAD])
def test_what_is_wrong_is_told_at_once_by_its_field(
    server: ServerProcess, body: dict[str, Any], field: str, words: str
) -> None:
    answer = server.client.post("/v1/videos", json=body)
    assert answer.status_code == httpx.codes.BAD_REQUEST, answer.text
    error = answer.json()["error"]
    assert (error["param"], error["type"]) == (field, "invalid_request_error")
    assert words in error["message"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/videos?limit=0", 400, "invalid_value"),
        ("GET", "/v1/videos?limit=101", 400, "invalid_value"),
        ("GET", "/v1/videos?order=up", 400, "invalid_value"),
        ("GET", "/v1/videos?after=video_0", 404, "video_not_found"),
        ("GET", "/v1/videos/video_0", 404, "video_not_found"),
        ("GET", "/v1/videos/..%2f..%2fetc/content", 404, "not_found"),
        ("GET", "/v1/videos/video_0/content?variant=spritesheet", 400, "invalid_value"),
        ("POST", "/v1/videos/video_0/remix", 501, "not_supported"),
        ("POST", "/v1/videos/edits", 501, "not_supported"),
        ("PUT", "/v1/videos", 405, "not_found"),
    ],
)
def test_what_is_not_there_is_told_in_openais_envelope(
    server: ServerProcess, method: str, path: str, status: int, code: str
) -> None:
    answer = server.client.request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_the_examples_of_the_documentation(server: ServerProcess, tmp_path: Path) -> None:
    blocks = BLOCKS.findall(PAGE.read_text(encoding="utf-8"))
    assert [language for language, _ in blocks] == ["python", "sh"]
    for language, code in blocks:
        there = code.replace("localhost:8080", f"127.0.0.1:{server.http_port}")
        assert there != code
        subprocess.run([*RUN[language], there], cwd=tmp_path, check=True, timeout=120)
    films = {each.name: each.read_bytes() for each in tmp_path.glob("*.mp4")}
    assert films.keys() == {"fox.mp4", "fox-again.mp4"}
    assert films["fox.mp4"] == films["fox-again.mp4"], "the same seed"


def test_jobs_survive_their_servers(folder: Path, tmp_path: Path) -> None:
    """Four servers after one another, with one folder. What waits is drawn by whoever comes next,
    what ran when a server was lost runs once more, and what a server was told to leave is left."""
    jobs = tmp_path / "jobs"

    def server(name: str, *flags: str) -> ServerProcess:
        common = ("--warmup-mode", "off", "--jobs-dir", str(jobs), "--drain-delay", "0")
        return ServerProcess(tmp_path / name, "--model", str(folder), *common, *flags)

    with server("first") as first, client_of(first.wait_ready()) as client:
        ran = client.videos.create(prompt=PROMPT, extra_body=LONG).id
        waited = client.videos.create(prompt=PROMPT, input_reference=PICTURE, extra_body=KNOBS).id
        assert runs(client, ran).kiln["durable"] is True
        first.process.send_signal(signal.SIGKILL)
        first.wait_exit()

    with server("second") as second, client_of(second) as client:
        second.wait_live()
        with pytest.raises(openai.InternalServerError) as raised:
            client.videos.create(prompt=PROMPT, extra_body=KNOBS)
        assert (raised.value.status_code, raised.value.code) == (503, "not_ready")
        wait_until(lambda: second.status("/v1/videos") == httpx.codes.OK, "the folder is open")
        assert [each.status for each in client.videos.list()] == ["queued", "queued"], "W31, W32"
        second.wait_ready()
        assert runs(client, ran).kiln["restarts"] == 1
        engine = second.engine()
        assert engine is not None
        engine.kill()
        assert second.wait_exit() != 0

    with server("third", "--drain-timeout", "60") as third, client_of(third) as client:
        third.wait_ready()
        failed = client.videos.retrieve(ran)
        assert (failed.status, failed.error.code) == ("failed", "server_ended")
        assert "ended twice" in failed.error.message
        assert ended(client, waited).status == "completed"
        film = client.videos.download_content(waited).content
        assert frames_of(film) == FRAMES
        in_hand = client.videos.create(prompt=PROMPT, extra_body={"num_inference_steps": 100}).id
        left = client.videos.create(prompt=PROMPT, extra_body=LONG).id
        runs(client, in_hand)
        assert third.terminate(60) == 0, third.log_tail()

    flags = ("--drain-timeout", "0.5", "--jobs-ttl", "0.1")
    with server("fourth", *flags) as fourth, client_of(fourth.wait_ready()) as client:
        assert client.videos.retrieve(in_hand).status == "completed", "it was let end"
        assert client.videos.download_content(waited).content == film
        assert runs(client, left).kiln["restarts"] == 0, "it was not begun"
        client.videos.delete(left)
        old = client.videos.create(prompt=PROMPT, extra_body=KNOBS).id

        def forgotten() -> bool:
            return old not in [each.id for each in client.videos.list()]

        wait_until(forgotten, "what has ended is kept for a while only")
        assert not list((jobs / "files").glob(f"{old}*"))
        stopped = client.videos.create(prompt=PROMPT, extra_body=LONG).id
        short = client.videos.create(prompt=PROMPT, extra_body={"num_inference_steps": 2})
        runs(client, stopped)
        assert fourth.terminate() == 0, fourth.log_tail()

    table = JobTable(jobs / "jobs.sqlite")
    drawn_alike = {"num_inference_steps": 2, "seed": short.kiln["seed"]}
    for id_, request in ((stopped, LONG), (short.id, drawn_alike)):
        kept = table.get(id_)
        assert kept is not None
        assert (kept.status, kept.restarts) == (Status.QUEUED, 0), "it was told to end"
        assert kept.request == {**request, "prompt": PROMPT}
    table.close()


def test_a_folder_that_cannot_be_used_ends_the_start(folder: Path, tmp_path: Path) -> None:
    jobs = tmp_path / "jobs"
    jobs.mkdir()
    other = sqlite3.connect(jobs / "jobs.sqlite")
    other.execute("PRAGMA user_version = 9")
    other.close()
    flags = ("--model", str(folder), "--jobs-dir", str(jobs))
    with ServerProcess(tmp_path / "server", *flags) as server:
        assert server.wait_exit() == 2
        assert "version 9" in server.termination_message.read_text()
