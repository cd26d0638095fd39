"""The images that people get: what is in them, what is not, and that they run as strictly as a
cluster may want."""

import contextlib
import functools
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from model import __version__
from tests.cluster.support import pods
from tests.cluster.support.images import CONTROLLER, MODEL, Images
from tests.cluster.support.kubectl import Kubectl, Object
from tests.integration.support.server import wait_until
from tools.cluster.node import checkout, images
from tools.cluster.record import Record
from tools.images.base import debian
from tools.images.builders import run
from tools.images.checkout import ROOT, build
from tools.images.layers import Image, read

MEGABYTE = 1_000_000
SECONDS = 120
USER = 65532
HEAVY = ("torch", "numpy", "kserve", "diffusers", "transformers", "triton", "pip")
SCRIPT = Path(__file__).with_name("look.py").read_text(encoding="utf-8")
LOOK = {"command": ["python", "-c", SCRIPT, *HEAVY]}
HELP = {"args": ["serve", "--help"]}
DOCTOR = {"args": ["doctor"]}
CHANGED = {
    "command": ["python", "-c", "print(open('/opt/kiln/code/model/contract/__init__.py').read())"]
}
READY = {"httpGet": {"path": "/v2/health/ready", "port": 8080}, "periodSeconds": 1}
PREFIX = "org.opencontainers.image"
REVISION = f"{PREFIX}.revision"
# What the sources of an image are.
SOURCES = ("Dockerfile", ".dockerignore", "LICENSE", "constraints", "controller", "model")


@pytest.fixture(scope="module")
def controller(kubectl: Kubectl, ours: Images) -> dict[str, str]:
    """What containers of the controller's image printed, by their names."""
    return printed(kubectl, "controller", ours.controller, look=LOOK, help={"args": ["--help"]})


@pytest.fixture(scope="module")
def model(kubectl: Kubectl, ours: Images) -> dict[str, str]:
    """The same for the model server."""
    containers = {
        "look": LOOK,
        "help": {"args": ["serve", "--help"]},
        "doctor": {"args": ["doctor"]},
    }
    return printed(kubectl, "model", ours.model, **containers)


def test_controller_image_is_below_250_mb(built_images: Mapping[str, Image]) -> None:
    assert 100 * MEGABYTE < built_images[CONTROLLER].size < 250 * MEGABYTE


def test_controller_image_holds_nothing_heavy(controller: dict[str, str]) -> None:
    seen = json.loads(controller["look"])
    assert seen["found"] == []
    assert seen["refused"] == list(HEAVY)


def test_model_image_holds_what_it_serves_with_and_no_compiler(model: dict[str, str]) -> None:
    seen = json.loads(model["look"])
    # The same look that finds nothing in the controller's image.
    assert {"torch", "numpy", "kserve", "diffusers", "transformers"} <= set(seen["found"])
    assert seen["refused"] == ["triton", "pip"]


def test_both_run_as_nobody_with_a_read_only_root(
    controller: dict[str, str], model: dict[str, str]
) -> None:
    for said in (controller, model):
        seen = json.loads(said["look"])
        assert seen["user"] == USER
        assert seen["unwritable"] == ["/", "/opt/kiln/code", "/etc"]


def test_commands_work_inside(controller: dict[str, str], model: dict[str, str]) -> None:
    assert "usage: python -m controller" in controller["help"]
    assert "usage: python -m model serve" in model["help"]
    assert "No problems found." in model["doctor"]


def test_server_becomes_ready_where_no_command_is_found(kubectl: Kubectl, ours: Images) -> None:
    """No shell, no compiler, no ldconfig: nothing that a smaller base would not have."""
    name = "without-commands"
    server = {
        "command": ["/opt/kiln/bin/python", "-m", "model", "serve"],
        "args": ["--model", "embedded://", "--cache-dir", "/tmp/cache"],  # noqa: S108
        "env": [{"name": "PATH", "value": "/nowhere"}],
        "readinessProbe": {
            "httpGet": {"path": "/v2/health/ready", "port": 8080},
            "periodSeconds": 1,
        },
    }
    kubectl.apply(pod(name, ours.model, serve=server))
    wait_until(lambda: pods.ready(kubectl.get("pod", name)), f"{name} is Ready", SECONDS)
    kubectl.run("delete", "pod", name)


@pytest.mark.parametrize(("target", "title"), [(CONTROLLER, "controller"), (MODEL, "model")])
def test_image_says_what_it_is_and_how_it_ends(
    built_images: Mapping[str, Image], target: str, title: str
) -> None:
    said = configuration(built_images[target])
    assert said["StopSignal"] == "SIGTERM"
    assert said["User"] == f"{USER}:{USER}"
    expected = {"title": f"kiln-{title}", "licenses": "Apache-2.0", "version": __version__}
    assert {f"{PREFIX}.{name}": text for name, text in expected.items()}.items() <= said[
        "Labels"
    ].items()
    assert re.fullmatch("[0-9a-f]{40}", said["Labels"][REVISION])


def test_image_says_of_which_revision_it_was_built_also_where_all_its_layers_are_kept(
    tmp_path: Path,
) -> None:
    """One that its files do not tell from the one before."""
    copy_sources(tmp_path)
    git = functools.partial(_git, tmp_path)
    git("init", "--quiet")
    git("add", ".")
    layers = set()
    for number in range(2):
        git("commit", "--quiet", "--allow-empty", "--message", f"Revision {number}")
        with built_of(tmp_path, CONTROLLER) as found:
            assert configuration(found)["Labels"][REVISION] == git("rev-parse", "HEAD")
            layers.add(tuple(each.digest for each in found.layers))
    assert len(layers) == 1


@pytest.mark.parametrize("target", [CONTROLLER, MODEL])
def test_change_of_code_leaves_all_large_layers(
    built_images: Mapping[str, Image], tmp_path: Path, target: str
) -> None:
    with rebuilt(tmp_path, target) as changed:
        pass
    before = {each.digest for each in built_images[target].layers}
    new = [each for each in changed.layers if each.digest not in before]
    assert changed.config != built_images[target].config
    assert 0 < sum(each.size for each in new) < 30 * MEGABYTE
    assert changed.size > 200 * MEGABYTE


def test_changed_image_is_brought_without_the_layers_that_the_node_has(
    node_cluster: tuple[Record, Kubectl],
    kubectl: Kubectl,
    ours: Images,
    built_images: Mapping[str, Image],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    layout = node_cluster[0].layout
    try:
        with rebuilt(tmp_path, CONTROLLER) as changed:
            capfd.readouterr()
            name = checkout.bring(layout, changed)
        megabytes = re.search(rf"bringing {name}: (\d+) MB", capfd.readouterr().err)
        assert megabytes
        assert 0 < int(megabytes[1]) < 30
        assert name != ours.controller
        # It replaces the one before, and what it has of that one is there.
        assert ours.controller not in images.names(layout)
        said = printed(kubectl, "changed", name, help={"args": ["--help"]}, changed=CHANGED)
        assert "usage: python -m controller" in said["help"]
        assert said["changed"].rstrip().endswith(f"# {tmp_path}")
    finally:
        checkout.bring(layout, built_images[CONTROLLER])


@contextlib.contextmanager
def rebuilt(folder: Path, target: str) -> Iterator[Image]:
    """The image of a copy of this checkout whose code says one thing more."""
    copy_sources(folder)
    with (folder / "model/contract/__init__.py").open("a", encoding="utf-8") as file:
        file.write(f"\n# {folder}\n")
    with built_of(folder, target) as image:
        yield image


def copy_sources(folder: Path) -> None:
    """What images of this checkout are made of."""
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, folder / name)


@contextlib.contextmanager
def built_of(folder: Path, target: str) -> Iterator[Image]:
    """The image of the checkout in ``folder``."""
    builder = checkout.builder()
    tag = f"{checkout.REPOSITORY}/{target}:changed"
    build(builder, target, tag, debian(builder), folder)
    try:
        yield read(builder, tag)
    finally:
        run(builder.line("rmi", tag))


def _git(folder: Path, *arguments: str) -> str:
    person = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    line = ["git", "-C", str(folder), *person, *arguments]
    return subprocess.check_output(line, text=True).strip()


def configuration(image: Image) -> dict[str, Any]:
    """As the image specification has it."""
    line = checkout.builder().line("inspect", "--type", "image", image.config.partition(":")[2])
    said: dict[str, Any] = json.loads(subprocess.check_output(line))["OCIv1"]["config"]
    return said


def printed(kubectl: Kubectl, name: str, image: str, **containers: Object) -> dict[str, str]:
    """What they print, each to its end, in one pod."""
    kubectl.apply(pod(name, image, **containers))

    def phase() -> str:
        status = kubectl.get("pod", name)["status"]
        return str(status["phase"]) if status["phase"] in ("Succeeded", "Failed") else ""

    ended = wait_until(phase, f"pod {name} has ended", SECONDS)
    said = {each: kubectl.run("logs", name, "--container", each) for each in containers}
    assert ended == "Succeeded", said
    return said


def pod(name: str, image: str, **containers: Object) -> Object:
    """As the operator would run it, but for its probes and its limits."""
    body = pods.web(name)
    body["spec"] |= {
        # Nothing here says which user it is: the image does.
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": [{"name": each, "emptyDir": {}} for each in ("tmp", "shm")],
        "containers": [
            {
                "name": each,
                "image": image,
                "imagePullPolicy": "IfNotPresent",
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [
                    {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
                    {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108
                ],
                **further,
            }
            for each, further in containers.items()
        ],
    }
    return body
