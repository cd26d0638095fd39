"""Make a machine a node, and make it an ordinary machine again, whatever happened between."""

import contextlib
import shutil
import tempfile
from pathlib import Path

from .. import kubectl
from ..errors import ClusterError
from ..layout import NODE_NAME, Layout
from . import kernel, network, requirements, sysctls
from .places import CLAIM, KUBELET_SOCKET, LOG_LINKS, STATE, images_folder, remove_empty

READY_SECONDS = 90


def set_up(layout: Layout) -> None:
    """All that is there before the first program starts.

    Raises:
        ClusterError: this machine cannot be a node, or is one already.
    """
    requirements.check()
    if KUBELET_SOCKET.exists() and not STATE.exists():
        raise ClusterError(
            "a kubelet that is not ours is or was here: take another machine, or remove"
            f" {KUBELET_SOCKET} when no kubelet runs"
        )
    _claim(layout.folder)
    sysctls.change(layout)
    network.make()
    way_out = layout.file("way-out.nft")
    way_out.write_text(network.WAY_OUT, encoding="utf-8")
    network.open_way_out(str(way_out))
    kernel.make_cgroups()


def wait_ready(layout: Layout) -> None:
    """Return when the scheduler would give the node a pod."""
    condition = ("--for=condition=Ready", f"--timeout={READY_SECONDS}s")
    kubectl.run(layout, "wait", *condition, f"node/{NODE_NAME}")


def remove(folder: Path) -> None:
    """Once its programs have ended, end the pods of the cluster in ``folder`` and remove all that
    the node put outside of it, but for the images."""
    if _claimed_by() != folder:
        return
    kernel.end_pods()
    kernel.unmount(STATE, folder, images_folder())
    kernel.remove_cgroups()
    network.remove()
    _remove_log_links(folder)
    KUBELET_SOCKET.unlink(missing_ok=True)
    remove_empty(KUBELET_SOCKET.parent, KUBELET_SOCKET.parent.parent, LOG_LINKS)
    sysctls.restore(folder)
    shutil.rmtree(STATE)


def _claim(folder: Path) -> None:
    """Make this machine's node that of the cluster in ``folder``."""
    with tempfile.TemporaryDirectory(prefix=f"{STATE.name}.", dir=STATE.parent) as temporary:
        beside = Path(temporary) / "whole"
        beside.mkdir()
        (beside / CLAIM.name).write_text(str(folder), encoding="utf-8")
        try:
            # Fails when somebody else's is there, because it has a file in it.
            beside.rename(STATE)
        except OSError as error:
            raise ClusterError(
                f"this machine is the node of the cluster in {_claimed_by()}: end that one first"
                f" (python -m tools.cluster down --folder {_claimed_by()})"
            ) from error


def _claimed_by() -> Path | None:
    with contextlib.suppress(FileNotFoundError):
        return Path(CLAIM.read_text(encoding="utf-8"))
    return None


def _remove_log_links(folder: Path) -> None:
    """Those that lead into ``folder``; others may be another kubelet's."""
    for link in LOG_LINKS.glob("*.log"):
        if link.is_symlink() and Path(link.readlink()).is_relative_to(folder):
            link.unlink()
