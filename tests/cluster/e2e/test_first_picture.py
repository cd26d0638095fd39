"""From ``kubectl apply`` of a sample to a picture, on both backends, and nobody is served cold."""

import json
from pathlib import Path

import pytest

from tests.cluster.support.reached import check_picture, reached
from tests.cluster.support.started import CASES, Started
from tests.cluster.support.witness import OK, check_pod
from tests.integration.support.clients import CLIENTS

OUT = Path(__file__).parents[3] / "out"
PROMPT = "a fox on a yellow background"
BACKGROUND = "yellow"
# Enough for a good picture.
KNOBS = {"num_inference_steps": 8}
# In the order in which they may be said; those before Warming may be over too soon.
ORDER = ("WaitingForKServe", "Creating", "Pulling", "Loading", "Warming", "Ready")


@pytest.fixture(params=CASES)
def sample(request: pytest.FixtureRequest, samples: dict[str, Started]) -> Started:
    return samples[request.param]


def test_c01_a_pod_is_ready_and_reached_only_once_it_is_warm(sample: Started) -> None:
    times = check_pod(sample.witness, sample.kubectl, sample.pod)
    host = sample.witness.front_host
    assert host
    answers = sample.witness.answers_of(host)
    # Refused while nobody is Ready; a 503 would be a request that reached a cold pod.
    assert {each.status for each in answers} == {0, OK}
    assert min(each.at for each in answers if each.status == OK) >= times["warm"]
    assert sample.witness.said_ready_at() >= times["warm"]


def test_c05_the_status_tells_what_the_pod_does(sample: Started) -> None:
    said = sample.witness.said()
    reasons = [reason for _, reason in said]
    assert set(reasons) <= set(ORDER), said
    assert reasons == sorted(reasons, key=ORDER.index), said
    assert said[-1] == ("Ready", "Ready")
    status = sample.kubectl.get("dsvc", sample.case.name)["status"]
    assert status["warmup"]["shapes"]
    assert status["warmup"]["done"] == status["warmup"]["of"]


def test_c05_a_warmup_of_several_shapes_is_told_while_it_runs(samples: dict[str, Started]) -> None:
    assert samples["Deployment"].witness.said()[-2:] == [("Warming", "Warming"), ("Ready", "Ready")]


@pytest.mark.parametrize("client", ["httpx", "tritonclient.http", "tritonclient.grpc"])
def test_c01_clients_get_the_picture_that_they_asked_for(sample: Started, client: str) -> None:
    with reached(sample.kubectl, sample.case.front, sample.case.name) as server:
        (picture,) = CLIENTS[client](server, [PROMPT], KNOBS, "").pictures
    check_picture(picture, BACKGROUND)


def test_c05_the_timeline_of_the_start_is_kept(
    sample: Started, capsys: pytest.CaptureFixture[str]
) -> None:
    witness, pod = sample.witness, sample.pod
    times = {
        "applied": sample.applied,
        "scheduled": witness.pod_condition_at(pod, "PodScheduled"),
        **check_pod(witness, sample.kubectl, pod),
        "endpoint": witness.ready_endpoint_at(witness.addresses[pod]),
        "service ready": witness.said_ready_at(),
    }
    kept = {name: round(at - sample.applied, 2) for name, at in times.items()}
    OUT.mkdir(exist_ok=True)
    file = OUT / f"cluster-start-{sample.case.name}.json"
    file.write_text(json.dumps(kept, indent=2), encoding="utf-8")
    with capsys.disabled():
        print(f"\nstart of {sample.case.name}, in seconds: {kept}")
    names = ("applied", "scheduled", "live", "loaded", "warm", "ready", "endpoint")
    assert [times[name] for name in names] == sorted(times[name] for name in names)
