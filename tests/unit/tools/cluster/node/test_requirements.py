"""Who cannot run a node is told all that is missing, in one message."""

from pathlib import Path

import pytest

from tools.cluster.node import requirements
from tools.cluster.node.requirements import Need, NodeImpossible


@pytest.fixture
def fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine with everything, of which the test takes something."""
    bridge = tmp_path / "bridge-nf-call-iptables"
    bridge.touch()
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(requirements, "BRIDGE_FILTER", bridge)
    monkeypatch.setattr(requirements, "NEEDS", (Need("dash", command="sh"),))
    return monkeypatch


def test_machine_with_everything_is_fit(fit: pytest.MonkeyPatch) -> None:
    requirements.check()


def test_all_that_is_missing_is_told_at_once(fit: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fit.setattr("os.geteuid", lambda: 1000)
    fit.setattr(requirements, "BRIDGE_FILTER", tmp_path / "nowhere")
    plugins = Need("plugins", folders=(tmp_path / "plugins",), files=("bridge",))
    fit.setattr(requirements, "NEEDS", (Need("no-such", command="no-such-command"), plugins))
    with pytest.raises(NodeImpossible) as raised:
        requirements.check()
    message = str(raised.value)
    assert "a node needs root" in message
    assert "modprobe br_netfilter" in message
    assert "apt install no-such plugins" in message


def test_another_system_is_no_node_whatever_it_has(fit: pytest.MonkeyPatch) -> None:
    fit.setattr("sys.platform", "darwin")
    with pytest.raises(NodeImpossible, match=r"^a node needs Linux$"):
        requirements.check()


def test_files_are_there_only_when_all_of_them_are_in_one_folder(tmp_path: Path) -> None:
    folders = (tmp_path / "one", tmp_path / "two")
    need = Need("plugins", folders=folders, files=("bridge", "host-local"))
    for folder, name in zip(folders, need.files, strict=True):
        folder.mkdir()
        (folder / name).touch()
    assert not need.there
    (folders[1] / "bridge").touch()
    assert need.there


def test_command_is_found_where_only_roots_shells_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "made-up-command"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", "/nowhere")
    assert requirements.find("made-up-command") is None
    monkeypatch.setattr(requirements, "SYSTEM_PLACES", str(tmp_path))
    assert requirements.find("made-up-command") == program
