"""How far a pod's server is with its warmup, in its own words: the answer of /v2/health/ready,
which a server gives from its first second on (W26).

Nothing depends on it but the message: where the operator cannot reach the pods, they are Loading
until Kubernetes calls them Ready.
"""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import aiohttp

from model.contract.flags import HTTP_PORT, READY_PATH
from model.contract.state import State

TIMEOUT: Final = aiohttp.ClientTimeout(total=2.0)
LARGEST: Final = 64 * 1024
NOT_READY: Final = 503


@dataclass(frozen=True, slots=True)
class Progress:
    """``done`` of ``of`` shapes are warm."""

    state: State
    done: int = 0
    of: int = 0


async def ask_all(addresses: Iterable[str], port: int = HTTP_PORT) -> dict[str, Progress]:
    """The answers of those that answer, by address."""
    several = list(addresses)
    if not several:
        return {}
    # A proxy of the environment must never stand between us and a pod.
    async with aiohttp.ClientSession(timeout=TIMEOUT, trust_env=False) as session:
        answers = await asyncio.gather(*(_ask(session, each, port) for each in several))
    return {address: each for address, each in zip(several, answers, strict=True) if each}


async def _ask(session: aiohttp.ClientSession, address: str, port: int) -> Progress | None:
    host = f"[{address}]" if ":" in address else address
    try:
        async with session.get(f"http://{host}:{port}{READY_PATH}") as answer:
            if answer.status != NOT_READY:
                return None
            return _read(await answer.content.read(LARGEST))
    except (aiohttp.ClientError, OSError, TimeoutError):
        return None


def _read(text: bytes) -> Progress | None:
    try:
        found = json.loads(text)
        return Progress(State(found["state"]), int(found.get("done", 0)), int(found.get("of", 0)))
    except (ValueError, KeyError, TypeError):
        return None
