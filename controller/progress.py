"""How far a pod's server is with its warmup, in its own words: the answer of /v2/health/ready,
which a server gives from its first second on (W26).

Nothing depends on it but the message: where the operator cannot reach the pods, they are Loading
until Kubernetes calls them Ready.
"""

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

import aiohttp

from model.contract.flags import HTTP_PORT, READY_PATH
from model.contract.state import State

TIMEOUT: Final = aiohttp.ClientTimeout(total=2.0)
LARGEST: Final = 64 * 1024
NOT_READY: Final = 503
# Seconds for which one that did not answer is not asked again.
SILENCE: Final = 60.0
UNREACHABLE: Final = (aiohttp.ClientError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Progress:
    """``done`` of ``of`` shapes are warm."""

    state: State
    done: int = 0
    of: int = 0


@dataclass(slots=True)
class Inquiry:
    """Remembers who does not answer, so that pods out of reach cost no reconcile its time."""

    port: int = HTTP_PORT
    clock: Callable[[], float] = monotonic
    _silent_until: dict[str, float] = field(default_factory=dict)

    async def ask(self, addresses: Iterable[str]) -> dict[str, Progress]:
        """The answers of those that answer, by address."""
        now = self.clock()
        silent = {each: until for each, until in self._silent_until.items() if until > now}
        several = [each for each in addresses if each not in silent]
        answers = await self._ask_all(several)
        silent |= {each: now + SILENCE for each in several if each not in answers}
        self._silent_until = silent
        return {each: told for each, told in answers.items() if told is not None}

    async def _ask_all(self, addresses: list[str]) -> dict[str, Progress | None]:
        """None: it answered, and not about its progress. Those that do not answer are left out."""
        if not addresses:
            return {}
        # A proxy of the environment must never stand between us and a pod.
        async with aiohttp.ClientSession(timeout=TIMEOUT, trust_env=False) as session:
            several = (_ask(session, each, self.port) for each in addresses)
            answers = await asyncio.gather(*several, return_exceptions=True)
        told: dict[str, Progress | None] = {}
        for address, answer in zip(addresses, answers, strict=True):
            if isinstance(answer, BaseException):
                if not isinstance(answer, UNREACHABLE):
                    raise answer
            else:
                told[address] = answer
        return told


async def _ask(session: aiohttp.ClientSession, address: str, port: int) -> Progress | None:
    host = f"[{address}]" if ":" in address else address
    async with session.get(f"http://{host}:{port}{READY_PATH}") as answer:
        if answer.status != NOT_READY:
            return None
        return _read(await answer.content.read(LARGEST))


def _read(text: bytes) -> Progress | None:
    try:
        found = json.loads(text)
        return Progress(State(found["state"]), int(found.get("done", 0)), int(found.get("of", 0)))
    except (ValueError, KeyError, TypeError):
        return None
