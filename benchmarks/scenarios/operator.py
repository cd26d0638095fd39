"""What does the operator cost the cluster, and how soon does it act?

Partner: an operator for the same objects that is written by hand as kopf's documentation teaches
(finalizer, annotations, handlers that create or patch), on the same API server, in turns.
Goals: ready within 2 s and at most 150 MiB, with 500 services; nothing is written for an event that
changes nothing, nor by a resync; a new service's children are there no later than the partner's.

A real API server, etcd and controller manager, on this machine: their work for the children is in
every time. The API server itself counts the calls. Each operator runs as a service account with its
own rights, in a namespace of its own. Both resync each minute while that is measured, and never
else. Watches and renewals of Kiln's lease are no calls here; the partner has no lease.
"""

import contextlib
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ..effort import Effort, Tell
from ..operators.api import Api
from ..operators.cluster import running_cluster
from ..operators.contestant import HAND, KILN, SERVICE_SECONDS, Contestant
from ..operators.ledger import Ledger
from ..operators.sightings import Sightings
from ..report import Findings, Goal
from ..samples import calls, mebibytes, milliseconds, of_seconds
from ..subject import Subject

READY_SECONDS: Final = 2.0
MEMORY_MIB: Final = 150.0
ORDER_SEED: Final = 0
# Seconds between two resyncs, of an operator that must not resync.
NEVER: Final = 86_400.0
# Of all services together.
MANY_SECONDS: Final = 900.0
# Services that are applied one after another in one turn.
IN_A_TURN: Final = 5
QUEUES: Final = (32, 48)


@dataclass(frozen=True, slots=True)
class Scale:
    """``known``: how many services there are. ``counted``: services over which calls are counted.
    ``resync``: seconds.
    """

    known: tuple[int, ...]
    counted: int
    resync: float
    resyncs: int


FULL: Final = Scale(known=(1, 100, 500), counted=20, resync=60.0, resyncs=2)
QUICK: Final = Scale(known=(1, 10), counted=4, resync=10.0, resyncs=1)


@dataclass(frozen=True, slots=True)
class Contest:
    """The two operators, Kiln's first, and what is found out about them."""

    scale: Scale
    effort: Effort
    sightings: Sightings
    contestants: tuple[Contestant, Contestant]
    ledger: Ledger
    tell: Tell
    shuffled: random.Random = field(default_factory=lambda: random.Random(ORDER_SEED))  # noqa: S311

    def in_turns(self) -> Sequence[Contestant]:
        """Both, in an order that nobody can rely on."""
        return self.shuffled.sample(self.contestants, 2)


def measure(effort: Effort, subject: Subject, tell: Tell) -> Findings:
    scale = QUICK if effort.quick else FULL
    tell("operator: starting a cluster")
    with _contest(scale, effort, tell) as contest:
        for each in contest.contestants:
            each.start(NEVER)
        before = 0
        for known in scale.known:
            _grow(contest, before, known)
            _apply_one_by_one(contest, known)
            if not before:
                _count_calls(contest)
            _note_memory(contest, f"memory, {known} known, after all that")
            _start_again(contest, known)
            _note_memory(contest, f"memory, {known} known, after a start")
            before = known
        _idle(contest, before)
    turns = _turns(effort) * IN_A_TURN
    return Findings(
        rows=contest.ledger.rows(),
        goals=tuple(_goals(contest.ledger, scale)),
        repetitions=f"{turns} services one by one, {scale.counted} for the calls, {effort.starts} "
        f"starts, {scale.resyncs} resyncs of {scale.resync:.0f} s",
        notes=(
            "a service has 4 children: NetworkPolicy, Service, Deployment, PodDisruptionBudget",
        ),
    )


@contextlib.contextmanager
def _contest(scale: Scale, effort: Effort, tell: Tell) -> Iterator[Contest]:
    with contextlib.ExitStack() as stack:
        admin = stack.enter_context(running_cluster())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kiln-benchmark-")))
        api = stack.enter_context(contextlib.closing(Api(admin)))
        sightings = Sightings()
        sightings.follow(api)
        ours, theirs = (Contestant(each, api, sightings, admin, folder) for each in (KILN, HAND))
        stack.callback(ours.stop)
        stack.callback(theirs.stop)
        ledger = Ledger((ours.name, theirs.name))
        yield Contest(scale, effort, sightings, (ours, theirs), ledger, tell)


def _grow(contest: Contest, before: int, known: int) -> None:
    """As many services as are missing, all at once."""
    more = [f"known-{number:03}" for number in range(before, known)]
    for each in contest.in_turns():
        contest.tell(f"operator: {known} services for {each.name}")
        keys = [each.key(name) for name in more]
        cpu = each.cpu_seconds()
        started = time.perf_counter()
        for name in more:
            each.apply(name)
        sights = contest.sightings
        sights.until_all(sights.made, keys, f"{each.name}: children", MANY_SECONDS)
        sights.until_all(sights.told, keys, f"{each.name}: status", MANY_SECONDS)
        each.settled(MANY_SECONDS)
        if before:
            burst = f"{len(more)} services at once"
            made = max(sights.made(key) or 0.0 for key in keys) - started
            told = max(sights.told(key) or 0.0 for key in keys) - started
            contest.ledger.note(f"{burst}: all children", each.name, of_seconds([made]))
            contest.ledger.note(f"{burst}: every status", each.name, of_seconds([told]))
            used = (each.cpu_seconds() - cpu) / len(more)
            contest.ledger.note(f"{burst}: CPU of each", each.name, milliseconds([used]))


def _apply_one_by_one(contest: Contest, known: int) -> None:
    made: dict[str, list[float]] = {each.name: [] for each in contest.contestants}
    told: dict[str, list[float]] = {each.name: [] for each in contest.contestants}
    turns = _turns(contest.effort)
    for turn in range(turns):
        contest.tell(f"operator: {known} known, turn {turn + 1} of {turns}")
        for each in contest.in_turns():
            new = [f"new-{turn}-{number}" for number in range(IN_A_TURN)]
            for name in new:
                before = each.apply(name)
                made_at, told_at = _appeared(contest, each, name)
                made[each.name].append(made_at - before)
                told[each.name].append(told_at - before)
            each.remove(new)
    for each in contest.contestants:
        children, status = milliseconds(made[each.name]), milliseconds(told[each.name])
        apply = f"apply to {{}}, {known} known"
        contest.ledger.note(apply.format("children"), each.name, children)
        contest.ledger.note(apply.format("children") + ", p99", each.name, children.percentile(99))
        contest.ledger.note(apply.format("status"), each.name, status)


def _appeared(
    contest: Contest, each: Contestant, name: str, seconds: float = SERVICE_SECONDS
) -> tuple[float, float]:
    """When all its children were there, and when it had a status."""
    sights, key = contest.sightings, each.key(name)
    sights.until(
        lambda: sights.made(key) is not None and sights.told(key) is not None,
        f"{each.name}: children and status of {name}",
        seconds,
    )
    return sights.made(key) or 0.0, sights.told(key) or 0.0


def _count_calls(contest: Contest) -> None:
    """Of a service that is new, changed, touched without a change, and deleted."""
    several = [f"counted-{number:02}" for number in range(contest.scale.counted)]
    for each in contest.in_turns():
        contest.tell(f"operator: counting the calls of {each.name}")

        def change(name: str, each: Contestant = each) -> None:
            for queue in QUEUES:
                _change(contest, each, name, queue)

        def create(name: str, each: Contestant = each) -> None:
            each.apply(name)
            _appeared(contest, each, name)

        def touch(name: str, each: Contestant = each) -> None:
            each.touch(name, "yes")

        def delete(name: str, each: Contestant = each) -> None:
            each.remove([name])

        _count(contest, each, several, "a new service", create)
        _count(contest, each, several, "a changed service", change, times=len(QUEUES))
        _count(contest, each, several, "an event that changes nothing", touch)
        _count(contest, each, several, "a deletion", delete)


def _change(contest: Contest, each: Contestant, name: str, queue: int) -> None:
    sights, key = contest.sightings, each.key(name)
    generation = sights.deployment(key).generation
    each.change(name, queue)
    sights.until(
        lambda: sights.deployment(key).generation > generation,
        f"{each.name}: the Deployment of {name} as it was changed",
        SERVICE_SECONDS,
    )


def _count(
    contest: Contest,
    each: Contestant,
    several: Sequence[str],
    what: str,
    act: Callable[[str], None],
    times: int = 1,
) -> None:
    """``act`` does ``times`` to each of ``several`` what is to be counted."""
    before, cpu = each.settled(), each.cpu_seconds()
    for name in several:
        act(name)
    found = each.settled() - before
    acts = times * len(several)
    contest.ledger.note(f"{what}: reads", each.name, calls([found.reads / acts]))
    contest.ledger.note(f"{what}: writes", each.name, calls([found.writes / acts]))
    used = (each.cpu_seconds() - cpu) / acts
    contest.ledger.note(f"{what}: CPU", each.name, milliseconds([used]))


def _start_again(contest: Contest, known: int) -> None:
    """Start each operator while a service waits that it has never seen, among those that it has."""
    ready: dict[str, list[float]] = {each.name: [] for each in contest.contestants}
    acted: dict[str, list[float]] = {each.name: [] for each in contest.contestants}
    asked: dict[str, list[float]] = {each.name: [] for each in contest.contestants}
    used: dict[str, list[float]] = {each.name: [] for each in contest.contestants}
    late = f"known-{known // 2:03}-late"
    for start in range(contest.effort.starts):
        for each in contest.in_turns():
            contest.tell(f"operator: {known} known, start {start + 1} of {each.name}")
            each.stop()
            before = each.settled()
            each.apply(late)
            started, seconds = each.start(NEVER)
            made, _ = _appeared(contest, each, late, MANY_SECONDS)
            ready[each.name].append(seconds)
            acted[each.name].append(made - started)
            asked[each.name].append((each.settled(MANY_SECONDS) - before).all)
            used[each.name].append(each.cpu_seconds())
            each.remove([late])
    for each in contest.contestants:
        note, name = contest.ledger.note, each.name
        note(f"start to ready, {known} known", name, of_seconds(ready[name]))
        note(f"start to children of a waiting one, {known} known", name, of_seconds(acted[name]))
        note(f"calls of a start, {known} known", name, calls(asked[name]))
        note(f"CPU of a start, {known} known", name, of_seconds(used[name]))


def _idle(contest: Contest, known: int) -> None:
    """Nothing happens but resyncs: once for all services. Both operators at the same time, each by
    its own count.
    """
    scale = contest.scale
    for each in contest.contestants:
        each.start(scale.resync)
    for each in contest.contestants:
        each.settled(MANY_SECONDS)
    contest.tell(f"operator: {known} known, {scale.resyncs} resyncs")
    before = {each.name: (each.calls(), each.cpu_seconds()) for each in contest.contestants}
    time.sleep(scale.resyncs * scale.resync)
    for each in contest.contestants:
        found, cpu = before[each.name]
        now = each.calls() - found
        note = contest.ledger.note
        note(f"a resync of {known}: reads", each.name, calls([now.reads / scale.resyncs]))
        note(f"a resync of {known}: writes", each.name, calls([now.writes / scale.resyncs]))
        used = (each.cpu_seconds() - cpu) / scale.resyncs
        note(f"a resync of {known}: CPU", each.name, milliseconds([used]))


def _note_memory(contest: Contest, question: str) -> None:
    for each in contest.contestants:
        contest.ledger.note(question, each.name, mebibytes([each.resident_bytes()]))


def _turns(effort: Effort) -> int:
    return max(1, effort.rounds // 4)


def _goals(ledger: Ledger, scale: Scale) -> Iterator[Goal]:
    most = scale.known[-1]

    def kiln(question: str) -> float:
        return ledger.sample(question, KILN.name).median

    yield Goal(
        f"start to ready, {most} known", kiln(f"start to ready, {most} known"), READY_SECONDS, "s"
    )
    for after in ("after all that", "after a start"):
        question = f"memory, {most} known, {after}"
        yield Goal(question, kiln(question), MEMORY_MIB, "MiB")
    for question in ("an event that changes nothing: writes", f"a resync of {most}: writes"):
        yield Goal(question, kiln(question), 0, "calls")
    for known in scale.known:
        for question in (
            f"apply to children, {known} known",
            f"apply to children, {known} known, p99",
        ):
            ratio = ledger.ratio(question)
            if ratio is not None:
                yield Goal(f"{question}, over the partner's", ratio, 1.0, "ratio")
