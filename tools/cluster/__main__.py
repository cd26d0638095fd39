"""The test cluster's command line.

python -m tools.cluster up            build what is missing, start, print what to do next
                        up --without kserve-manager    a cluster that knows nothing of KServe
                        up --node     with a node that runs pods (root)
python -m tools.cluster status        what runs, and whether it works
python -m tools.cluster kubeconfig    the file's path, for KUBECONFIG
python -m tools.cluster down          end it and remove everything that it wrote
python -m tools.cluster stop NAME     end one program, and start NAME again: for drills
python -m tools.cluster load FILE     give the node the images of an OCI or docker archive
python -m tools.cluster images        build controller and model-cpu of this checkout, for the node
python -m tools.cluster packages      the Debian packages that a node lacks here
                        packages --install             and install them (root)
python -m tools.cluster build         only build; build --node builds a node's programs, too
"""

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from . import cluster, kubectl
from . import record as records
from .build import build_all
from .errors import ClusterError
from .families import FAMILIES, NODE_FAMILIES
from .node import checkout, images, requirements
from .program import Program
from .programs import PROGRAMS
from .record import Record

INTERRUPTS = (signal.SIGINT, signal.SIGTERM)
INTERRUPTED = 130
NEXT = """\
The cluster is up. Next:

    export KUBECONFIG={kubeconfig}
    {kubectl} get --raw /version
    make cluster-down
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status."""
    for each in INTERRUPTS:
        # A job in the background ignores its terminal's interrupt, and so do we there.
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, _interrupt)
    options = _parser().parse_args(arguments)
    action: Callable[[argparse.Namespace], int] = options.action
    try:
        return action(options)
    except ClusterError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("cluster: interrupted", file=sys.stderr)
        return INTERRUPTED


def _up(options: argparse.Namespace) -> int:
    record = records.read(_folder(options))
    if record is None:
        record = cluster.up(_folder(options), options.owner, options.without, node=options.node)
    elif options.node and not record.layout.node:
        raise ClusterError("a cluster is there, and it has no node: down, then up --node")
    elif not all(each.healthy for each in cluster.standings(record)):
        raise ClusterError("a cluster is there, and not all of it works: see status, then down")
    print(
        NEXT.format(
            kubeconfig=record.layout.kubeconfig(), kubectl=kubectl.program(record.layout.built)
        ),
        end="",
    )
    return 0


def _down(options: argparse.Namespace) -> int:
    if not cluster.down(_folder(options)):
        print(f"cluster: none in {_folder(options)}", file=sys.stderr)
    return 0


def _status(options: argparse.Namespace) -> int:
    standings = list(cluster.standings(_record(options)))
    for each in standings:
        state = "healthy" if each.healthy else "not healthy" if each.pid else "ended"
        print(f"{each.program.name:24} {each.pid or '-':>8} {state}")
    return 0 if all(each.healthy for each in standings) else 1


def _kubeconfig(options: argparse.Namespace) -> int:
    print(_record(options).layout.kubeconfig())
    return 0


def _stop(options: argparse.Namespace) -> int:
    cluster.stop_program(_record(options), _program(options.program))
    return 0


def _start(options: argparse.Namespace) -> int:
    cluster.stop_program(_record(options), _program(options.program))
    cluster.start_program(_record(options), _program(options.program))
    return 0


def _load(options: argparse.Namespace) -> int:
    for name in images.load(_record(options).layout, options.file):
        print(name)
    return 0


def _images(options: argparse.Namespace) -> int:
    record = _record(options)
    for image in checkout.built().values():
        print(checkout.bring(record.layout, image))
    return 0


def _packages(options: argparse.Namespace) -> int:
    needs = requirements.NEEDS + requirements.TEST_NEEDS + requirements.IMAGE_NEEDS
    packages = requirements.missing(needs)
    if packages and options.install:
        requirements.install(packages)
    elif packages:
        print("\n".join(packages))
    return 0


def _build(options: argparse.Namespace) -> int:
    for folder in build_all(FAMILIES | NODE_FAMILIES if options.node else FAMILIES).values():
        print(folder)
    return 0


def _folder(options: argparse.Namespace) -> Path:
    folder: Path | None = options.folder
    return folder.resolve() if folder else cluster.default_folder()


def _record(options: argparse.Namespace) -> Record:
    record = records.read(_folder(options))
    if record is None:
        raise ClusterError(f"no cluster in {_folder(options)}: make cluster")
    return record


def _program(name: str) -> Program:
    return next(program for program in PROGRAMS if program.name == name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.cluster", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    names = [program.name for program in PROGRAMS]
    actions: dict[str, Callable[[argparse.Namespace], int]] = {
        "up": _up,
        "down": _down,
        "status": _status,
        "kubeconfig": _kubeconfig,
        "stop": _stop,
        "start": _start,
        "load": _load,
        "images": _images,
        "packages": _packages,
        "build": _build,
    }
    for name, action in actions.items():
        command = commands.add_parser(name)
        command.set_defaults(action=action)
        command.add_argument(
            "--folder", type=Path, help="of the cluster; without it, one in the user's cache"
        )
        if name == "up":
            command.add_argument(
                "--owner",
                type=int,
                metavar="PID",
                help="once this process is gone, the next start of a cluster removes this one",
            )
            command.add_argument(
                "--without", action="append", default=[], choices=names, help="leave a program out"
            )
        if name in ("up", "build"):
            command.add_argument("--node", action="store_true", help="with a node")
        if name == "load":
            command.add_argument("file", type=Path, metavar="FILE")
        if name == "packages":
            command.add_argument("--install", action="store_true", help="by apt-get, as root")
        if name in ("stop", "start"):
            command.add_argument("program", choices=names)
    return parser


def _interrupt(*_: object) -> NoReturn:
    """The first interrupt ends what was started; a second one must not end that."""
    for each in INTERRUPTS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
