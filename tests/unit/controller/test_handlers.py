"""What kopf is told to do, and to leave."""

from itertools import islice

import kopf

from controller.cluster import PAGE
from controller.handlers import LONGEST_PAUSE, settings

BODY = kopf.Body({"metadata": {"annotations": {"a": "b"}}, "spec": {"replicas": 1}})


def test_c08_kopf_remembers_nothing_and_writes_nothing_on_objects() -> None:
    kept = settings().persistence
    essence = kept.diffbase_storage.build(body=BODY)
    assert essence == {}
    assert kept.progress_storage.clear(essence=essence) is essence
    assert kept.diffbase_storage.fetch(body=BODY) is None
    patch = kopf.Patch()
    kept.diffbase_storage.store(body=BODY, patch=patch, essence=essence)
    kept.progress_storage.touch(body=BODY, patch=patch, value="now")
    assert not patch


def test_c07_the_finalizer_of_another_kopf_operator_is_not_taken_off() -> None:
    ours = settings().persistence.finalizer
    assert ours != kopf.OperatorSettings().persistence.finalizer


def test_kopf_reads_in_pages_as_well() -> None:
    assert settings().watching.chunk_size == PAGE


def test_c10_kopf_goes_on_asking_for_as_long_as_an_api_server_fails() -> None:
    pauses = settings().networking.error_backoffs
    for _ in range(2):  # each request asks for them anew
        several = list(islice(iter(pauses), 1000))  # type: ignore[arg-type]
        assert len(several) == 1000
        assert several == sorted(several)
        assert several[-1] == LONGEST_PAUSE


def test_c10_kopf_does_not_kill_the_process_after_it_has_ended() -> None:
    assert settings().process.ultimate_exiting_timeout is None
