"""Role's servers as they are started in a pod, and a user's request through them, by hand."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from model.contract.generation import GenerationRequest
from model.contract.roles import Role
from model.contract.wire import STAGE_OF
from model.pipelines.handover import Handover
from model.pipelines.inspection import describe_folder
from model.pipelines.location import locate
from model.pipelines.requests import Ask, build_request
from model.pipelines.stages import PIXELS, asked_of
from model.settings import Settings
from model.transport.addresses import Address
from model.transport.calling import Security
from model.transport.client import StageClient
from model.transport.payload import Bounds, Payload, pack
from tests.integration.support.server import ServerProcess

CHAIN: Final = (Role.ENCODER, Role.DENOISER, Role.DECODER)
BOUNDS: Final = Bounds(bytes=2**28, tensors=256)
Servers = dict[Role, ServerProcess]
OnStep = Callable[[int, int], None]


@contextlib.contextmanager
def running_chain(folder: Path, *flags: str) -> Iterator[Servers]:
    """One server of each role, Ready. All must end well when told to."""
    with contextlib.ExitStack() as stack:
        servers = {
            role: stack.enter_context(ServerProcess(folder / role, "--role", role, *flags))
            for role in CHAIN
        }
        yield {role: each.wait_ready() for role, each in servers.items()}
        for each in servers.values():
            assert each.terminate() == 0, each.log_tail()


def written_token(folder: Path) -> Path:
    path = folder / "token"
    path.write_text("fox\n")
    return path


@asynccontextmanager
async def client_of(
    server: ServerProcess, security: Security, bounds: Bounds = BOUNDS
) -> AsyncIterator[StageClient]:
    client = StageClient(Address("127.0.0.1", server.grpc_port, "localhost"), bounds, security)
    try:
        yield client
    finally:
        await client.close()


def a_request(steps: int = 4, **parameters: Any) -> GenerationRequest:
    ask = Ask(("a red fox",), parameters={"seed": 7, "num_inference_steps": steps, **parameters})
    model = describe_folder(locate("embedded://", weights=False))
    return build_request(ask, model, Settings())


def asked(
    role: Role, given: Handover, *, revision: str = "", request_id: str = "r", **more: Any
) -> Payload:
    return pack(STAGE_OF[role], request_id, given.written(), given.facts, revision=revision, **more)


def first_stage(steps: int = 4, **more: Any) -> Payload:
    """What an encoder gets."""
    return asked(Role.ENCODER, asked_of(a_request(steps)), **more)


def handed(result: Payload) -> Handover:
    return Handover.read(result.data, result.header.facts)


def pixels_of(result: Payload) -> Any:
    """uint8, as the decoder gave them."""
    return handed(result).tensors[PIXELS].numpy()
