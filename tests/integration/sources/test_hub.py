"""``python -m model fetch hf://``, from a hub that this test plays over real HTTP."""

import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from model.embedded import PIPELINE_FOLDER
from model.errors import StartupError
from model.pipelines.location import locate
from model.sources.address import parse
from model.sources.fetching import Fetched, fetch
from model.sources.opening import open_source
from tests.integration.sources.conftest import SUPERFLUOUS, UNET, fetched, model_files
from tests.integration.sources.hub_server import REPOSITORY, SIGNATURE, HubServer, running
from tests.integration.support.server import wait_until

URI = f"hf://{REPOSITORY}"
TOKEN = "hf_a-token-that-nobody-may-read"  # noqa: S105
MIB = 1024 * 1024
SECONDS = 60.0


def bring(folder: Path, uri: str = URI) -> Fetched:
    """In this process, with short pauses."""
    address = parse(uri)
    source = open_source(address, PIPELINE_FOLDER)
    return fetch(source, address, folder, first_pause=0.001)


def refused(folder: Path, uri: str = URI) -> StartupError:
    with pytest.raises(StartupError) as refusal:
        bring(folder, uri)
    return refusal.value


def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "model", "fetch", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_all_that_loading_needs_is_fetched_and_nothing_else(hub: HubServer, tmp_path: Path) -> None:
    with capture_logs() as said:
        done = bring(tmp_path / "model")
    assert fetched(tmp_path / "model") == model_files()
    assert done == Fetched(hub.commit, 12, sum(map(len, model_files().values())))
    found = locate(str(tmp_path / "model"))
    assert (found.pipeline, found.revision) == ("StableDiffusionPipeline", hub.commit)
    checked = {each["path"]: each["checked_by"] for each in said if "checked_by" in each}
    assert (checked[UNET], checked["unet/config.json"]) == ("sha256", "git-sha1")
    assert not list((tmp_path / "model/.kiln-fetch").glob("parts"))


def test_where_everything_is_there_nothing_is_downloaded(hub: HubServer, tmp_path: Path) -> None:
    bring(tmp_path)
    hub.asked.clear()
    assert bring(tmp_path) == Fetched(hub.commit)
    # It looked whether there is a newer one, and which files that would need.
    assert [each.path.rpartition("/")[2] for each in hub.downloads()] == ["model_index.json"]


def test_of_a_commit_that_is_there_nobody_is_asked(hub: HubServer, tmp_path: Path) -> None:
    address = f"{URI}@{hub.commit}"
    bring(tmp_path, address)
    hub.asked.clear()
    assert bring(tmp_path, address) == Fetched(hub.commit)
    assert not hub.asked


def test_a_newer_revision_replaces_what_changed_and_removes_what_went(
    hub: HubServer, tmp_path: Path
) -> None:
    hub.files["unet/old.json"] = b"{}"
    bring(tmp_path)
    del hub.files["unet/old.json"]
    hub.files["unet/config.json"] = b'{"changed": true}'
    hub.asked.clear()
    assert bring(tmp_path).files == 1
    assert fetched(tmp_path) == {**model_files(), "unet/config.json": b'{"changed": true}'}
    assert {each.path.rpartition("/")[2] for each in hub.downloads()} == {
        "model_index.json",
        "config.json",
    }


def test_a_file_that_was_deleted_or_cut_short_comes_again(hub: HubServer, tmp_path: Path) -> None:
    bring(tmp_path)
    (tmp_path / "vae/config.json").unlink()
    os.truncate(tmp_path / UNET, 1000)
    assert bring(tmp_path).files == 2
    assert fetched(tmp_path) == model_files()


def test_a_run_that_was_killed_is_gone_on_with(hub: HubServer, tmp_path: Path) -> None:
    hub.held = 3 * MIB
    running_one = start("--at-once", "1", URI, str(tmp_path))
    assert hub.holding.wait(SECONDS)
    parts = tmp_path / ".kiln-fetch/parts"

    def come() -> int:
        return max((each.stat().st_size for each in parts.glob("*")), default=0)

    wait_until(lambda: come() >= 2 * MIB, "the first bytes have come", SECONDS)
    running_one.send_signal(signal.SIGKILL)
    running_one.communicate(timeout=SECONDS)
    assert not (tmp_path / UNET).exists(), "nothing is in its place before it is whole"
    had = come()
    hub.held = None
    hub.release.set()
    hub.asked.clear()
    again = start(URI, str(tmp_path))
    _, log = again.communicate(timeout=SECONDS)
    assert again.returncode == 0, log
    assert fetched(tmp_path) == model_files()
    assert max(each.start for each in hub.downloads()) == had
    assert '"file_resumed"' in log


def test_files_that_an_earlier_run_brought_do_not_come_again(
    hub: HubServer, tmp_path: Path
) -> None:
    hub.lost = {"vae/diffusion_pytorch_model.safetensors"}
    address = parse(URI)
    with pytest.raises(StartupError):
        fetch(open_source(address, PIPELINE_FOLDER), address, tmp_path, 1, first_pause=0.001)
    assert not fetched(tmp_path), "nobody sees half a model"
    hub.lost.clear()
    hub.asked.clear()
    bring(tmp_path)
    assert fetched(tmp_path) == model_files()
    assert len([each for each in hub.asked if each.path.startswith("/storage/")]) == 1


def test_told_to_stop_it_ends_at_once_and_keeps_what_came(hub: HubServer, tmp_path: Path) -> None:
    hub.held = MIB
    running_one = start(URI, str(tmp_path))
    assert hub.holding.wait(SECONDS)
    running_one.send_signal(signal.SIGTERM)
    _, log = running_one.communicate(timeout=SECONDS)
    assert running_one.returncode == 130, log
    assert "the next run goes on" in log
    assert "Traceback" not in log


def test_a_connection_that_breaks_is_gone_on_with_in_the_same_run(
    hub: HubServer, tmp_path: Path
) -> None:
    hub.cut = 5 * MIB
    bring(tmp_path)
    assert fetched(tmp_path) == model_files()
    assert max(each.start for each in hub.downloads()) == 5 * MIB


def test_a_server_without_ranges_sends_it_all_again(hub: HubServer, tmp_path: Path) -> None:
    hub.cut, hub.knows_ranges = 5 * MIB, False
    error = refused(tmp_path)  # the same first bytes come again and again
    assert (error.exit_code, "6 times in a row" in str(error)) == (9, True)
    hub.cut = None
    bring(tmp_path)
    assert fetched(tmp_path) == model_files()


def test_what_arrives_wrong_is_fetched_again(hub: HubServer, tmp_path: Path) -> None:
    hub.spoiled = 1
    with capture_logs() as said:
        bring(tmp_path)
    assert fetched(tmp_path) == model_files()
    assert "file_is_not_right" in {each["event"] for each in said}


def test_what_arrives_wrong_again_is_never_put_into_its_place(
    hub: HubServer, tmp_path: Path
) -> None:
    hub.spoiled = 100
    error = refused(tmp_path)
    assert (error.exit_code, "sha256" in str(error)) == (11, True)
    assert not (tmp_path / UNET).exists()


@pytest.mark.parametrize(
    ("refusal", "code", "says"),
    [
        ((401, "RepoNotFound"), 4, "check its name, and HF_TOKEN"),
        ((403, "GatedRepo"), 4, "accept its conditions on its page, and set HF_TOKEN"),
        ((404, "RepoNotFound"), 4, "there is no such model"),
        ((404, "RevisionNotFound"), 4, "has no revision"),
        ((500, ""), 9, "the hub says 500"),
        ((429, ""), 9, "the hub says 429"),
    ],
)
def test_c14_what_the_hub_refuses_is_told_with_its_mend(
    hub: HubServer, tmp_path: Path, refusal: tuple[int, str], code: int, says: str
) -> None:
    hub.refuse = refusal
    error = refused(tmp_path)
    assert (error.exit_code, says in str(error)) == (code, True), error
    assert URI in str(error)


def test_c14_a_broken_network_is_told_and_a_whole_folder_needs_none(tmp_path: Path) -> None:
    hub = HubServer(model_files())
    with pytest.MonkeyPatch.context() as patch:
        with running(hub):
            patch.setenv("HF_ENDPOINT", hub.endpoint)
            bring(tmp_path / "whole")
        error = refused(tmp_path / "none")
        assert (error.exit_code, "cannot be reached" in str(error)) == (9, True)
        with capture_logs() as said:
            assert bring(tmp_path / "whole") == Fetched(hub.commit)
        assert "served_from_the_folder" in {each["event"] for each in said}
        (tmp_path / "whole" / UNET).unlink()
        assert refused(tmp_path / "whole").exit_code == 9


def test_c14_a_revoked_right_is_no_broken_network(hub: HubServer, tmp_path: Path) -> None:
    bring(tmp_path)
    hub.refuse = (401, "RepoNotFound")
    assert refused(tmp_path).exit_code == 4


def test_no_secret_is_logged_or_goes_where_it_does_not_belong(
    hub: HubServer, tmp_path: Path
) -> None:
    hub.token, hub.cut = TOKEN, 4 * MIB
    environment = {**os.environ, "HF_TOKEN": TOKEN}
    message = tmp_path / "message"
    words = ("--termination-message-path", str(message), URI, str(tmp_path / "model"))
    running_one = start(*words, env=environment)
    _, log = running_one.communicate(timeout=SECONDS)
    assert running_one.returncode == 0, log
    assert '"broke_off"' in log
    hub.refuse = (403, "GatedRepo")
    again = start(*words, env=environment)
    _, more = again.communicate(timeout=SECONDS)
    assert again.returncode == 4
    assert "the token in HF_TOKEN has no right" in message.read_text()
    assert message.read_text() in more
    for secret in (TOKEN, SIGNATURE):
        assert secret not in log + more + message.read_text()
    stored = [each for each in hub.asked if each.path.startswith("/storage/")]
    assert stored
    assert not any(each.authorization for each in stored)


def test_a_folder_without_room_is_told_before_anything_is_downloaded(
    hub: HubServer, tmp_path: Path
) -> None:
    hub.sizes[UNET] = 10**18
    error = refused(tmp_path)
    assert (error.exit_code, "are still to come" in str(error)) == (10, True)
    assert [each.path.rpartition("/")[2] for each in hub.downloads()] == ["model_index.json"]


def test_a_disk_that_fills_up_on_the_way_is_told_and_gone_on_with(
    hub: HubServer, tmp_path: Path
) -> None:
    limited = "import resource as r, runpy; r.setrlimit(r.RLIMIT_FSIZE, (3 << 20, 3 << 20)); "
    run = "import sys; sys.argv[0] = 'model'; runpy.run_module('model', run_name='__main__')"
    ended = subprocess.run(
        [sys.executable, "-c", limited + run, "fetch", URI, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert ended.returncode == 10, ended.stderr
    assert f"cannot take {UNET}: File too large; give the volume more room" in ended.stderr
    hub.asked.clear()
    bring(tmp_path)
    assert fetched(tmp_path) == model_files()
    assert max(each.start for each in hub.downloads()) == 3 * MIB


def test_a_folder_that_cannot_be_written_is_told(hub: HubServer) -> None:
    error = refused(Path("/proc/model"))
    assert (error.exit_code, "mount a volume there" in str(error)) == (10, True)


def test_nothing_of_somebody_elses_is_overwritten(hub: HubServer, tmp_path: Path) -> None:
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet/config.json").write_text("mine")
    error = refused(tmp_path)
    assert (error.exit_code, "unet/config.json that nobody fetched" in str(error)) == (2, True)
    assert (tmp_path / "unet/config.json").read_text() == "mine"


def test_a_folder_holds_one_model(hub: HubServer, tmp_path: Path) -> None:
    bring(tmp_path)
    error = refused(tmp_path, "embedded://")
    assert (error.exit_code, f"holds {URI}" in str(error)) == (2, True)


def test_two_that_share_a_folder_fetch_it_once(hub: HubServer, tmp_path: Path) -> None:
    hub.held = MIB
    first = threading.Thread(target=bring, args=(tmp_path,))
    first.start()
    assert hub.holding.wait(SECONDS)
    second = start(URI, str(tmp_path))
    assert second.stderr is not None
    line = second.stderr.readline()
    assert "waiting_for_another_fetch" in line
    hub.held = None
    hub.release.set()
    first.join()
    _, log = second.communicate(timeout=SECONDS)
    assert second.returncode == 0, log
    assert "nothing_to_fetch" in log
    large = [each.path for each in hub.asked if each.path.startswith("/storage/")]
    assert len(large) == len(set(large)) == 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda files: files.pop("model_index.json"), "it is not a diffusers folder"),
        (lambda files: files.update({"model_index.json": b"{"}), "is not JSON"),
        (lambda files: files.update({"model_index.json": b"{}"}), "names no _class_name"),
        (
            lambda files: [files.pop(each) for each in list(files) if each.startswith("vae/")],
            "its component 'vae' is missing",
        ),
        (
            lambda files: [files.pop(each) for each in list(files) if each.endswith("safetensors")],
            "only pickles such as unet/diffusion_pytorch_model.bin",
        ),
    ],
)
def test_c14_what_could_not_be_loaded_is_refused_before_it_is_downloaded(
    hub: HubServer, tmp_path: Path, change: Callable[[dict[str, bytes]], object], says: str
) -> None:
    change(hub.files)
    error = refused(tmp_path)
    assert (error.exit_code, says in str(error)) == (4, True), error
    assert not fetched(tmp_path)


def test_on_a_terminal_a_bar_is_drawn(hub: HubServer, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "model", "fetch", URI, str(tmp_path)],
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    ) as running_one:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 65536)
            except OSError:
                break
    os.close(ours)
    assert running_one.returncode == 0
    text = shown.decode()
    assert "fetching" in text
    assert "MB" in text
    assert SUPERFLUOUS.keys().isdisjoint(fetched(tmp_path))
