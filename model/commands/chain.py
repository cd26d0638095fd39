"""``python -m model serve --role all``: a whole chain on one machine, for people to try it. Each
replica of each role is a process, as it would be a pod; their router has the settings' own ports.
"""

import argparse
import os
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Final

from ..configuration.names import FIELDS
from ..configuration.resolve import NEEDED_MODES, Resolved, for_role, resolve
from ..contract.roles import Role
from ..errors import InvalidSettings
from ..settings import Settings
from ..transport.configured import SETTING_OF
from .processes import run_together

LOOPBACK: Final = "127.0.0.1"
MOST_REPLICAS: Final = 64
# In the order of a request. What is told of them is told so.
STAGES: Final = (Role.ENCODER, Role.DENOISER, Role.DECODER)
# What users of the chain meet, and what warms it up, is the router's alone.
OF_THE_ROUTER: Final = frozenset(
    {
        *NEEDED_MODES,
        *("warmup_mode", "warmup_on_failure", "unwarmed_shapes", "gate_hold"),
        *("host", "http_port", "grpc_port", "enable_grpc", "ssl_certfile", "ssl_keyfile"),
    }
)
# What says where roles are; here, that is known.
OF_PODS: Final = (*SETTING_OF.values(), "role_ca_file")


@dataclass(frozen=True, slots=True)
class Member:
    """One process of the chain."""

    name: str
    resolved: Resolved

    @property
    def role(self) -> Role:
        return self.resolved.settings.role

    def __str__(self) -> str:
        settings = self.resolved.settings
        rest = f"REST {settings.host}:{settings.http_port}"
        grpc = f"gRPC {settings.host}:{settings.grpc_port}" if settings.enable_grpc else ""
        return f"{self.name:<12}{rest:<24}{grpc}".rstrip()


def members_of(given: argparse.Namespace, environment: Mapping[str, str]) -> tuple[Member, ...]:
    """What to start: the workers, then the router.

    Raises:
        InvalidSettings: as ``resolve``; or what a chain of one machine cannot have.
    """
    router = resolve(argparse.Namespace(**{**vars(given), "role": str(Role.ROUTER)}), environment)
    for name in OF_PODS:
        if router.sources[name] != "default":
            raise InvalidSettings(
                f"{name} ({router.sources[name]}): --role all starts the other roles itself, "
                "on this machine; leave it out"
            )
    counts = replicas_of(given.replicas or "")
    names = {
        role: [f"{role}-{number}" for number in range(1, count + 1)] if count > 1 else [str(role)]
        for role, count in counts.items()
    }
    ports = iter(free_ports(2 * sum(counts.values())))
    workers = [
        Member(name, _worker(router, role, next(ports), next(ports)))
        for role in STAGES
        for name in names[role]
    ]
    addresses = {
        SETTING_OF[role]: ",".join(
            f"{LOOPBACK}:{each.resolved.settings.grpc_port}"
            for each in workers
            if each.role is role
        )
        for role in STAGES
    }
    return (*workers, Member(str(Role.ROUTER), _changed(router, addresses)))


def replicas_of(written: str) -> dict[Role, int]:
    """``denoiser=2,decoder=1``: one of each role that is not named.

    Raises:
        InvalidSettings: it is not written so.
    """
    counts = dict.fromkeys(STAGES, 1)
    for each in filter(None, (part.strip() for part in written.split(","))):
        name, _, count = (part.strip() for part in each.partition("="))
        fits = name in counts and count.isascii() and count.isdigit()
        if not fits or not 1 <= int(count) <= MOST_REPLICAS:
            raise InvalidSettings(
                f"replicas: {each[:100]!r}; must be ROLE=COUNT,..., of {', '.join(STAGES)}, each "
                f"with 1 to {MOST_REPLICAS}"
            )
        counts[Role(name)] = int(count)
    return counts


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody has at this moment."""
    with ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in held:
            each.bind((LOOPBACK, 0))
        return [int(each.getsockname()[1]) for each in held]


def _worker(router: Resolved, role: Role, http_port: int, grpc_port: int) -> Resolved:
    plain = {name: FIELDS[name].default for name in OF_THE_ROUTER}
    own = {"role": role, "host": LOOPBACK, "http_port": http_port, "grpc_port": grpc_port}
    found = _changed(router, {**plain, **own})
    sources = {**found.sources, **dict.fromkeys(OF_THE_ROUTER, "default")}
    return for_role(replace(found, sources=sources, ignored=()))


def _changed(resolved: Resolved, values: Mapping[str, Any]) -> Resolved:
    settings: Settings = resolved.settings.model_copy(update=dict(values))
    sources = {**resolved.sources, **dict.fromkeys(values, "--role all")}
    return replace(resolved, settings=settings, sources=sources)


def told(members: tuple[Member, ...]) -> str:
    """What is started, and what to do next."""
    *workers, router = members
    settings = router.resolved.settings
    scheme = "https" if settings.tls else "http"
    front = f"{scheme}://localhost:{settings.http_port}"
    decoder = next(each.resolved.settings for each in workers if each.role is Role.DECODER)
    return "\n".join(
        [
            f"A chain for {settings.model}, in processes of its own on this machine:",
            *(f"  {each}" for each in members),
            "The router is Ready when it has warmed up every one of them:",
            f"  curl -i {front}/v2/health/ready",
            f"  curl -s {front}/v2/models/{settings.served_name}",
            "Then it draws as one server would. The decoder also works for diffusers' users:",
            f"  remote_decode('http://{LOOPBACK}:{decoder.http_port}/decode', latents)",
            "Ctrl-C ends all of it.",
        ]
    )


def serve_chain(given: argparse.Namespace) -> int:
    """Start all, end all; the exit status."""
    members = members_of(given, os.environ)
    print(told(members), flush=True)
    return run_together([(each.name, each.resolved) for each in members])
