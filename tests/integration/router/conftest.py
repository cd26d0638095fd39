"""A chain of real servers behind a real router: one encoder, two denoisers, one decoder."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx
import pytest

from model.roles.chain import CHAIN
from tests.integration.support.server import ServerProcess, free_ports

PAUSE = 0.02


class Witness:
    """Asks all the time whether the router is Ready. ``answers``: what it was told, whenever that
    was another thing than before.
    """

    def __init__(self, router: ServerProcess) -> None:
        self._router = router
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.answers: list[int] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(60)

    def _watch(self) -> None:
        with httpx.Client(base_url=self._router.base_url, trust_env=False) as client:
            while not self._over.wait(PAUSE):
                with contextlib.suppress(httpx.TransportError):
                    status = client.get("/v2/health/ready").status_code
                    if self.answers[-1:] != [status]:
                        self.answers.append(status)


@dataclass
class World:
    """``ports`` of the denoisers stay theirs: who is started again has its old one."""

    folder: Path
    router: ServerProcess
    witness: Witness
    roles: dict[str, ServerProcess]
    ports: dict[str, int]
    stack: contextlib.ExitStack
    started: int = field(default=0)

    def start(self, name: str, *flags: str) -> ServerProcess:
        """The role of this name, at its own port."""
        self.started += 1
        role = name.rstrip("0123456789")
        place = ("--grpc-port", str(self.ports[name]))
        server = ServerProcess(
            self.folder / f"{name}-{self.started}", "--role", role, *place, *flags
        )
        self.roles[name] = self.stack.enter_context(server)
        return server

    def addresses(self) -> list[str]:
        """The router's flags."""
        return [
            text
            for role in CHAIN
            for text in (
                f"--{role}s",
                ",".join(
                    f"127.0.0.1:{port}"
                    for name, port in self.ports.items()
                    if name.rstrip("0123456789") == role
                ),
            )
        ]


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The roles, loaded; then the router, and a witness from its first moment on. A third denoiser
    is announced, and not there.
    """
    folder = tmp_path_factory.mktemp("chain")
    names = ("encoder", "denoiser1", "denoiser2", "denoiser3", "decoder")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    with contextlib.ExitStack() as stack:
        made = World(folder, None, None, {}, ports, stack)  # type: ignore[arg-type]
        for each in [made.start(n) for n in ("encoder", "denoiser1", "denoiser2", "decoder")]:
            each.wait_ready()
        made.router = stack.enter_context(
            ServerProcess(
                folder / "router", "--role", "router", *made.addresses(),
                "--replica-check-interval", "0.2", "--warmup-batch-sizes", "1,2",
            )
        )  # fmt: skip
        made.witness = stack.enter_context(Witness(made.router))
        made.router.wait_ready()
        yield made
        assert made.router.terminate() == 0, made.router.log_tail()


@pytest.fixture
def router(world: World) -> ServerProcess:
    return world.router
