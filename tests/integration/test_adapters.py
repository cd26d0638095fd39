"""W42: a LoRA is chosen while the server runs; it is Ready again once every shape is warm again."""

from collections.abc import Iterator

import httpx
import pytest

from tests.integration.faults.drills import draw, metric, picture
from tests.integration.support.lora import save_lora
from tests.integration.support.server import MODEL, ServerProcess, wait_until

PATH = f"/v2/models/{MODEL}/adapter"


@pytest.fixture(scope="module")
def styled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("adapters")
    loras = f"style={save_lora(folder)}"
    with ServerProcess(folder / "server", "--loras", loras) as running:
        yield running.wait_ready()
        assert running.terminate() == 0, running.log_tail()


def states(server: ServerProcess) -> list[str]:
    return [each["now"] for each in server.events("state")]


def choose(server: ServerProcess, lora: str | None, **more: float) -> None:
    """And wait until it is Ready again."""
    before = len(server.events("ready_again"))
    answer = server.client.put(PATH, json={"lora": lora, **more})
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    assert answer.json()["state"] == "warming"
    wait_until(lambda: len(server.events("ready_again")) > before, "it is Ready again")
    server.wait_ready()


def test_w42_a_change_of_the_weights_unproves_every_shape_and_warms_it_again(
    styled: ServerProcess,
) -> None:
    base = picture(styled)
    found = styled.metadata()
    assert (found["loras"], found["adapter"]) == (["style"], None)
    passes = found["warmup"]["shapes"][0]["passes"]

    choose(styled, "style", scale=0.5)
    assert states(styled)[-3:] == ["ready", "warming", "ready"]
    found = styled.metadata()
    assert found["adapter"] == {"lora": "style", "scale": 0.5}
    (shape,) = found["warmup"]["shapes"]
    assert shape["proven"]
    assert shape["passes"] != passes, "it was run again"
    other = picture(styled)
    assert other != base
    assert draw(styled).json()["parameters"]["cold_shape"] is False

    again = styled.client.put(PATH, json={"lora": "style", "scale": 0.5})
    assert (again.status_code, again.json()["state"]) == (httpx.codes.OK, "ready"), "nothing to do"
    choose(styled, None)
    assert styled.metadata()["adapter"] is None
    assert picture(styled) == base, "bit for bit"
    assert metric(styled, "kiln_compiles_after_ready_total") == 0
    assert len(styled.events("The server is fired up and ready to roll!")) == 1


def test_w42_what_is_not_declared_is_refused_and_changes_nothing(styled: ServerProcess) -> None:
    before = states(styled)
    wrong = styled.client.put(PATH, json={"lora": "/etc/passwd"})
    assert wrong.status_code == httpx.codes.BAD_REQUEST
    assert wrong.json() == {"error": "lora: is not declared; declared are style"}
    elsewhere = styled.client.put("/v2/models/other/adapter", json={"lora": "style"})
    assert elsewhere.status_code == httpx.codes.NOT_FOUND
    assert states(styled) == before


def test_w42_without_declared_adapters_there_is_no_such_path(server: ServerProcess) -> None:
    answer = server.client.put(PATH, json={"lora": None})
    assert answer.status_code == httpx.codes.NOT_FOUND
    assert "error" in answer.json()
