"""C16: pods come and go behind a Service, and its users notice nothing."""

import signal
from collections.abc import Callable

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from model.errors import EngineDied
from tests.integration.faults.drills import assert_stopped, engine_of
from tests.integration.support.balancer import Balancer
from tests.integration.support.load import Load
from tests.integration.support.server import MODEL, ServerProcess

Start = Callable[..., ServerProcess]
DELAY = ("--drain-delay", "3")
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def test_c16_no_request_is_lost_when_a_server_drains(start_server: Start) -> None:
    """Neither on connections that its users keep, nor over gRPC: while it drains, it sends them
    away between two requests. The Service learns of its end a moment late.
    """
    ends = start_server("--warmup-mode", "off", *DELAY)
    stays = start_server("--warmup-mode", "off", *DELAY)
    for each in (ends, stays):
        each.wait_ready()
    rest, rpc = Balancer(ends.http_port), Balancer(ends.grpc_port)
    with rest.open(), rpc.open():
        load = Load("127.0.0.1", rest.port, rpc.port, MODEL, pictures=False)
        with load.running(kept=3, fresh=1, calls=3):
            load.served(2)
            ends.process.send_signal(signal.SIGTERM)
            ends.wait_state("draining")
            rest.behind[:], rpc.behind[:] = [stays.http_port], [stays.grpc_port]
            assert_stopped(ends)
            load.served(2)
    assert not load.failures()


def test_c16_nobody_who_watches_its_health_keeps_a_server(start_server: Start) -> None:
    """As clients do that choose among pods by it: they hear of the end, and it comes."""
    server = start_server("--warmup-mode", "off", "--drain-timeout", "300").wait_ready()
    with grpc.insecure_channel(server.grpc_address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        heard = [next(watch).status]
        server.process.send_signal(signal.SIGTERM)
        heard += [each.status for each in watch]
    assert heard == [SERVING, NOT_SERVING]
    assert_stopped(server)


def test_c16_a_killed_engine_leaves_no_request_without_an_answer(start_server: Start) -> None:
    """Those for pictures are told to come again, and no connection that is kept ends under a
    request: what has been sent is answered, and who comes back finds the port closed.
    """
    server = start_server("--warmup-mode", "off", *DELAY).wait_ready()
    place = ("127.0.0.1", server.http_port, server.grpc_port, MODEL)
    pictures, questions = Load(*place), Load(*place, pictures=False)
    kept = {"kept": 3, "fresh": 0}
    with pictures.running(**kept, calls=2), questions.running(**kept, calls=0):
        pictures.served(1)
        engine_of(server).kill()
        assert server.wait_exit() == EngineDied.exit_code
    told = [each for each in pictures.failures() if each.sent]
    assert {each.status for each in told} <= {"503", "UNAVAILABLE"}
    assert told, "the engine held none"
    assert all(each.retry_after for each in told), told
    assert not [each for each in questions.failures() if each.sent]
