"""A role's server in a process of its own: ``python -m tests.integration.support.stage_program``.

It tells what happens as lines of JSON, and does what it reads: ``release``, ``drain``, ``end``.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path

from model.contract.roles import Role
from model.contract.state import State
from model.transport.calling import Security
from tests.unit.model.transport.support import Inverter, StageHost


def tell(what: str, whose: str = "", step: int = 0) -> None:
    print(json.dumps({"what": what, "whose": whose, "step": step}), flush=True)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--role", type=Role, default=Role.DENOISER)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token-file", type=Path)
    parser.add_argument("--certificate", type=Path)
    parser.add_argument("--key", type=Path)
    given = parser.parse_args()
    host = StageHost(
        given.role,
        runner=Inverter(tell),
        security=Security.read(given.token_file, None),
        certificate=given.certificate,
        key=given.key,
    )
    try:
        await host.open(given.port)
        print(json.dumps({"what": "open", "port": host.port}), flush=True)
        while order := (await asyncio.to_thread(sys.stdin.readline)).strip():
            match order:
                case "release":
                    host.runner.released.set()
                case "drain":
                    await host.become(State.DRAINING)
                case "end":
                    break
    finally:
        await host.close()


if __name__ == "__main__":
    asyncio.run(main())
