"""W24: a server whose device has not the memory for all that it was asked to warm up.

The engine's address space is limited from outside once the model is loaded, so that its
allocations fail in earnest.
"""

from collections.abc import Callable

import httpx
import psutil

from tests.integration.faults.drills import draw, engine_of, metric, outcomes
from tests.integration.support.server import ServerProcess

Start = Callable[..., ServerProcess]
MIB = 2**20
# Eight pictures of 64 pixels a side take less than this, and eight of 192 a side take more.
ROOM = 160 * MIB
# What a failed call frees goes back to the system, and not into a heap that keeps its addresses;
# and no thread takes 64 MiB of addresses for a heap of its own.
RETURNING = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_ARENA_MAX": "1"}
PLAN = (
    *("--warmup-resolutions", "64x64,192x192", "--warmup-batch-sizes", "8"),
    *("--log-level", "debug"),
)


def limit_memory(server: ServerProcess) -> None:
    """Once the model is loaded, the engine gets ``ROOM`` more and nothing else."""
    server.wait_event("model_loaded")
    engine = engine_of(server)
    limit = engine.memory_info().vms + ROOM
    engine.rlimit(psutil.RLIMIT_AS, (limit, limit))


def test_w24_a_shape_without_room_is_degraded_and_limits_what_is_served(
    start_server: Start,
) -> None:
    server = start_server(*PLAN, environment=RETURNING)
    limit_memory(server)
    server.wait_ready()
    small, shrunk = server.metadata()["warmup"]["shapes"]
    assert (small["width"], small["degraded"], small["proven"]) == (64, False, True)
    assert shrunk["asked"] == "text-to-image 192x192 batch 8 cfg"
    assert (shrunk["degraded"], shrunk["proven"], shrunk["batch"]) == (True, True, 8)
    area = shrunk["width"] * shrunk["height"]
    assert area < 192 * 192
    tried = [each["shape"] for each in server.events("warmup_out_of_memory")]
    assert tried[0] == "text-to-image 192x192 batch 8 cfg"
    assert 1 <= len(tried) <= 3

    assert metric(server, "kiln_warmup_degraded_shapes") == 1
    assert metric(server, "kiln_warmup_failed") == 0
    told = f"text-to-image 192x192 batch 8 cfg to {shrunk['shape']}"
    assert told in server.metadata()["degraded"]
    ready = server.client.get("/v2/health/ready")
    assert ready.status_code == httpx.codes.OK
    assert told in ready.json()["degraded"]

    refused = draw(server, width=192, height=192)
    assert refused.status_code == httpx.codes.BAD_REQUEST
    limit = max(area, 64 * 64)
    assert f"192x192 is above {limit} pixels" in refused.json()["error"]
    assert "the largest warm shape is" in refused.json()["error"]
    assert outcomes(server, "invalid") == 1
    served = draw(server, width=64, height=64)
    assert served.status_code == httpx.codes.OK, served.text[:300]
    assert server.terminate() == 0
