"""containerd's configuration: everything below our folders, and nothing for machines with more."""

import json

from ..layout import Layout
from . import network
from .places import SOCKET, STATE, images_folder
from .requirements import find, network_plugins

PAUSE = "localhost/kiln-pause:1"

CONFIGURATION = """
version = 4
root = '{images}'
state = '{state}'
imports = []
# They write to /opt and /run, and snapshots of other kinds than ours are not for every machine.
disabled_plugins = [
  'io.containerd.nri.v1.nri',
  'io.containerd.internal.v1.opt',
  'io.containerd.snapshotter.v1.blockfile',
  'io.containerd.snapshotter.v1.devmapper',
  'io.containerd.snapshotter.v1.erofs',
  'io.containerd.snapshotter.v1.zfs',
]

[plugins.'io.containerd.server.v1.grpc']
  address = '{socket}'

[plugins.'io.containerd.server.v1.ttrpc']
  address = '{socket}.ttrpc'

[plugins.'io.containerd.server.v1.metrics']
  address = '{host}:{containerd}'

[plugins.'io.containerd.shim.v1.manager']
  socket_dir = '{state}/s'

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '{pause}'

[plugins.'io.containerd.cri.v1.runtime']
  # Where this machine is a container itself, it may not lower these.
  restrict_oom_score_adj = true
  disable_apparmor = true
  # A namespace that is mounted here is found, and freed, at the end.
  netns_mounts_under_state_dir = true

[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ['{plugins}']
  conf_dir = '{folder}/networks'
  # The plugin would remember each pod's loopback outside our folders.
  use_internal_loopback = true

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'
  runtime_path = '{shim}'

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = '{runc}'
  Root = '{state}/runc'
  SystemdCgroup = false
"""


def prepare(layout: Layout) -> None:
    """Write the files that containerd reads."""
    text = CONFIGURATION.format(
        images=images_folder(),
        state=STATE,
        socket=SOCKET,
        host=layout.fill("{host}"),
        containerd=layout.ports["containerd"],
        pause=PAUSE,
        plugins=network_plugins(),
        folder=layout.folder,
        shim=layout.built["containerd"] / "containerd-shim-runc-v2",
        runc=find("runc"),
    )
    layout.file("containerd.toml").write_text(text, encoding="utf-8")
    networks = layout.file("networks")
    networks.mkdir()
    content = network.configuration(str(layout.file("addresses")))
    (networks / "10-kiln.conflist").write_text(json.dumps(content, indent=2), encoding="utf-8")
