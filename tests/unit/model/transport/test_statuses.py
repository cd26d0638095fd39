"""Every error of a role comes out at its caller as the same class, over a real connection."""

import pytest

from model.errors import (
    EngineLost,
    GenerationFailed,
    InvalidRequest,
    KilnError,
    NotReady,
    PayloadTooLarge,
    QueueFull,
    ReplicaLost,
    RequestError,
)
from model.transport import statuses
from model.transport.client import StageClient
from tests.unit.model.test_errors import ARGUMENTS, tree
from tests.unit.model.transport.support import StageHost, a_payload

KINDS = [kind for kind in tree(RequestError) if issubclass(kind, RequestError)]


def an_error(kind: type[RequestError]) -> RequestError:
    return kind(*ARGUMENTS.get(kind.__name__, ("it did not work, für 1 €",)))


async def test_every_class_travels(host: StageHost, client: StageClient) -> None:
    for kind in KINDS:
        sent = an_error(kind)
        host.runner.errors["r"] = sent
        with pytest.raises(RequestError) as caught:
            await client.run(a_payload())
        found = caught.value
        assert type(found) is kind
        assert str(found) == str(sent)
        assert found.retry_after == sent.retry_after
        assert vars(found) == vars(sent), "what it holds beside its message"


async def test_a_hint_to_retry_is_in_the_form_that_others_read(
    host: StageHost, client: StageClient
) -> None:
    host.runner.errors["r"] = QueueFull(3, 1.5)
    with pytest.raises(QueueFull) as caught:
        await client.run(a_payload())
    told = caught.value.__cause__
    (found,) = [v for k, v in told.trailing_metadata() if k == statuses.DETAILS]  # type: ignore[union-attr]
    status = statuses.Status.FromString(found)
    retry = statuses.RetryInfo()
    assert status.details[1].Unpack(retry)
    assert (retry.retry_delay.seconds, retry.retry_delay.nanos) == (1, 500_000_000)
    assert told.code().name == "RESOURCE_EXHAUSTED"  # type: ignore[union-attr]


async def test_what_nobody_expected_is_told_without_its_text(
    host: StageHost, client: StageClient
) -> None:
    host.runner.errors["r"] = KeyError("a secret path")
    with pytest.raises(GenerationFailed, match="internal error in the denoiser; its log has it"):
        await client.run(a_payload())


class Spoken:
    """A status, as gRPC's own error has it."""

    def __init__(self, code: str, metadata: tuple[tuple[str, bytes], ...] = ()) -> None:
        self._code, self._metadata = statuses.grpc.StatusCode[code], metadata

    def code(self) -> object:
        return self._code

    def details(self) -> str:
        return "so it said"

    def trailing_metadata(self) -> tuple[tuple[str, bytes], ...]:
        return self._metadata


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("UNAVAILABLE", ReplicaLost),
        ("INTERNAL", ReplicaLost),
        ("CANCELLED", ReplicaLost),
        *((code.name, kind) for code, kind in statuses.UNSPOKEN.items()),
    ],
)
def test_what_grpc_itself_says(code: str, kind: type[KilnError]) -> None:
    found = statuses.revived(Spoken(code), "10.0.0.1:8081")
    assert type(found) is kind
    assert str(found) == "10.0.0.1:8081: so it said"


@pytest.mark.parametrize("facts", ['{"details": 3', "7"])
def test_details_that_are_broken_leave_the_code(facts: str) -> None:
    info = statuses.ErrorInfo(reason="NotReady", domain="kiln.dev", metadata={"facts": facts})
    status = statuses.Status(message="m", details=[statuses._packed(info)])
    broken = ((statuses.DETAILS, status.SerializeToString()),)
    assert type(statuses.revived(Spoken("UNAVAILABLE", broken), "p")) is ReplicaLost
    assert type(statuses.revived(Spoken("UNAVAILABLE", ((statuses.DETAILS, b"\xff"),)), "p")) is (
        ReplicaLost
    )


def test_a_class_of_a_newer_release_becomes_what_its_code_says() -> None:
    class OfTomorrow(QueueFull):
        pass

    sent = statuses.details(OfTomorrow(1, 2.0))
    renamed = tuple((key, value.replace(b"OfTomorrow", b"OfTomorrov")) for key, value in sent)
    found = statuses.revived(Spoken("RESOURCE_EXHAUSTED", renamed), "p")
    assert type(found) is PayloadTooLarge


def test_a_class_of_another_domain_is_not_ours() -> None:
    info = statuses.ErrorInfo(reason="EngineLost", domain="example.com")
    status = statuses.Status(message="m", details=[statuses._packed(info)])
    found = statuses.revived(
        Spoken("UNIMPLEMENTED", ((statuses.DETAILS, status.SerializeToString()),)), "p"
    )
    assert type(found) is not EngineLost


def test_only_what_an_error_has_is_set() -> None:
    """A peer cannot write any attribute."""
    facts = {"facts": '{"http_status": 200, "retry_after": 2.0}'}
    info = statuses.ErrorInfo(reason="NotReady", domain="kiln.dev", metadata=facts)
    status = statuses.Status(message="m", details=[statuses._packed(info)])
    found = statuses.revived(
        Spoken("UNAVAILABLE", ((statuses.DETAILS, status.SerializeToString()),)), "p"
    )
    assert type(found) is NotReady
    assert (found.http_status, found.retry_after) == (503, 2.0)
    invalid = statuses.revived(Spoken("UNKNOWN", statuses.details(InvalidRequest("w", "x"))), "p")
    assert isinstance(invalid, InvalidRequest)
    assert invalid.field == "w"
