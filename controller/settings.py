"""Every knob of the operator, once: the flags of ``python -m controller run``."""

import argparse
import os
import socket
from dataclasses import dataclass, fields
from typing import Any, Final

NAMESPACE_FILE: Final = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"


@dataclass(frozen=True, slots=True)
class Settings:
    """See ``add_flags`` for what each means."""

    image: str
    namespaces: tuple[str, ...] = ()
    kubeconfig: str | None = None
    workers: int = 4
    resync: float = 60.0
    leader_elect: bool = True
    lease_namespace: str = "default"
    lease_name: str = "kiln-operator"
    own_namespace: str | None = None
    host: str = "0.0.0.0"  # noqa: S104 - probes and scrapes come from outside the pod
    port: int = 8080
    log_level: str = "info"
    log_format: str = "auto"


def add_flags(parser: argparse.ArgumentParser, image: str) -> None:
    """One flag for each field."""

    def flag(name: str, text: str, **options: Any) -> None:
        parser.add_argument(name, help=text, **options)

    flag("--image", f"image of the model server, where a spec names none. Default: {image}.",
         default=image)  # fmt: skip
    flag("--namespaces", "serve these namespaces only, with commas between. Default: all.",
         type=_names, default=(), metavar="NAME,...")  # fmt: skip
    flag("--kubeconfig", "file with the cluster's address. Default: $KUBECONFIG, the pod's own "
         "service account, or ~/.kube/config.", metavar="FILE")  # fmt: skip
    flag("--workers", "services that are reconciled at the same time. Default: 4.",
         type=_positive, default=4, metavar="N")  # fmt: skip
    flag("--resync", "seconds between two comparisons of what is known with the cluster. "
         "Default: 60.", type=seconds_text, default=60.0, metavar="SECONDS")  # fmt: skip
    flag("--leader-elect", "whether one of several operators leads, by a Lease. Default: true.",
         type=_truth, default=True, metavar="true|false")  # fmt: skip
    flag("--lease-namespace", "namespace of the Lease. Default: the pod's own, or default.",
         default=own_namespace(), metavar="NAME")  # fmt: skip
    flag("--lease-name", "name of the Lease. Default: kiln-operator.",
         default="kiln-operator", metavar="NAME")  # fmt: skip
    flag("--own-namespace", "namespace of the operator's own pods: NetworkPolicies let them in, to "
         "ask servers for their warmup. Default: the pod's own, or none.",
         default=_pods_namespace(), metavar="NAME")  # fmt: skip
    flag("--host", "address of /healthz, /readyz and /metrics. Default: all.",
         default="0.0.0.0", metavar="ADDRESS")  # noqa: S104 # fmt: skip
    flag("--port", "port of the same; 0 chooses one. Default: 8080.",
         type=_port, default=8080, metavar="PORT")  # fmt: skip
    flag("--log-level", "least severity that is logged. Default: info.",
         choices=("debug", "info", "warning", "error"), default="info")  # fmt: skip
    flag("--log-format", "auto: json, unless the log goes to a terminal.",
         choices=("auto", "console", "json"), default="auto")  # fmt: skip


def from_flags(given: argparse.Namespace) -> Settings:
    """The settings that the flags say."""
    return Settings(**{each.name: getattr(given, each.name) for each in fields(Settings)})


def identity() -> str:
    """Unlike that of any other process: a pod's name, and a number that its next run does not
    have.
    """
    return f"{socket.gethostname()}_{os.getpid()}_{os.urandom(4).hex()}"


def own_namespace() -> str:
    """The pod's, or default."""
    return _pods_namespace() or "default"


def _pods_namespace() -> str | None:
    try:
        with open(NAMESPACE_FILE, encoding="utf-8") as file:  # noqa: PTH123
            return file.read().strip()
    except OSError:
        return None


def _names(text: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in text.split(",") if each.strip())


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r}: write true or false")
    return text.lower() == "true"


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: write a number of at least 1")
    return int(text)


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r}: write a port, 0 to 65535")
    return int(text)


def seconds_text(text: str) -> float:
    """As a number; argparse tells what is wrong with it."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1.0 <= value <= 86_400.0:
        raise argparse.ArgumentTypeError(f"{text!r}: write seconds, 1 to 86400")
    return value
