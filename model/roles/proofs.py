"""W44: the plan of the model, through teams of replicas, and what each replica has proven by it."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Final

from ..contract.compilation import CompileMode
from ..contract.generation import Generation, GenerationRequest
from ..contract.sampling import ModelDescription
from ..errors import GenerationFailed, InvalidRequest, RequestError, WarmupFailed
from ..settings import Settings
from ..telemetry.metrics import Metrics
from ..warmup.everywhere import merged
from ..warmup.ladder import lightened
from ..warmup.plan import build_plan
from ..warmup.progress import Several, visible_progress
from ..warmup.report import ShapeReport, WarmupReport
from ..warmup.runner import Course, PlanFailed, Progress, run_plan
from .recorder import Recorder
from .teams import Team

# Processes whose proofs are kept, should they go and come back. As many as a pool remembers.
REMEMBERED: Final = 1024

# Sends a request through the team, and the pictures through the encoder of files.
Through = Callable[[Team, GenerationRequest], Awaitable[Generation]]


class Proofs:
    """``report`` is that of all teams to whom the replicas that are there belong; each is one of
    its ``engines``.
    """

    def __init__(
        self, settings: Settings, metrics: Metrics, empty: WarmupReport, through: Through
    ) -> None:
        self._settings = settings
        self._through = through
        self._empty = empty
        self._plan: tuple[GenerationRequest, ...] = ()
        self._model: ModelDescription | None = None
        self._progress = Several(Recorder(metrics, lambda report: None), visible_progress())
        self._runs: dict[int, WarmupReport] = {}
        self._under_way: set[int] = set()
        self._run_of: OrderedDict[str, int] = OrderedDict()

    def plan_for(self, model: ModelDescription) -> None:
        """What is to be proven from now on.

        Raises:
            InvalidSettings: the settings of the plan do not fit the model.
            WarmupFailed: the model's own defaults cannot be drawn.
        """
        try:
            self._plan = build_plan(model, self._settings)
        except InvalidRequest as error:
            raise WarmupFailed(f"the model's own defaults cannot be drawn: {error}") from error
        self._model = model

    def run_of(self, instance: str) -> int | None:
        """The number of the team by which this process was proven."""
        return self._run_of.get(instance)

    def report(self, instances: Iterable[str]) -> WarmupReport:
        """Of the processes that are there, and of what is under way."""
        numbers = {self._run_of[each] for each in instances if each in self._run_of}
        parts = {each: self._runs[each] for each in numbers | self._under_way}
        of = sum(each.of for each in parts.values())
        return merged(replace(self._empty, engines=len(parts), of=of), parts)

    async def run(self, team: Team) -> None:
        """Every shape of the plan, until it is steady.

        Raises:
            RequestError: what the team raised; it says where.
        """
        self._runs[team.number] = replace(self._empty, of=len(self._plan))
        self._under_way.add(team.number)
        try:
            await run_plan(self._own(self._plan, team), self._course(team), self._empty)
        except PlanFailed as failed:
            raise team.error or GenerationFailed(str(failed)) from failed
        finally:
            self._under_way.discard(team.number)
        for each in team.candidates:
            self._run_of[each.replica.instance] = team.number
            self._run_of.move_to_end(each.replica.instance)
        self._forget()

    def _own(self, plan: Iterable[GenerationRequest], team: Team) -> tuple[GenerationRequest, ...]:
        return tuple(replace(each, id=f"{each.id}-{team.number}") for each in plan)

    def _course(self, team: Team) -> Course:
        return Course(
            submit=partial(self._submit, team),
            request_timeout=self._settings.warmup_request_timeout,
            progress=_Part(self, team.number, self._progress),
            lighten=partial(self._lighten, team),
            compiled=self._settings.compile is not CompileMode.OFF,
        )

    async def _submit(self, team: Team, request: GenerationRequest) -> Generation:
        try:
            # W28: for roles, also what runs as a user's would is none of a user.
            return await self._through(team, replace(request, warmup=True))
        except RequestError as error:
            team.error = error
            raise

    def _lighten(self, team: Team, request: GenerationRequest) -> GenerationRequest | None:
        assert self._model is not None
        smaller = lightened(request, self._model, self._settings)
        return None if smaller is None else self._own((smaller,), team)[0]

    def _forget(self) -> None:
        while len(self._run_of) > REMEMBERED:
            self._run_of.popitem(last=False)
        kept = {*self._run_of.values(), *self._under_way}
        self._runs = {number: each for number, each in self._runs.items() if number in kept}

    def remember(self, number: int, report: WarmupReport) -> WarmupReport:
        """How far a team is; what all of those under way say together."""
        self._runs[number] = report
        return self.report(())


class _Part(Progress):
    """Hears of one team's run, and tells of all that are under way."""

    def __init__(self, proofs: Proofs, number: int, progress: Progress) -> None:
        self._proofs = proofs
        self._number = number
        self._progress = progress

    def shape_started(self, request: GenerationRequest, report: WarmupReport) -> None:
        self._progress.shape_started(request, self._proofs.remember(self._number, report))

    def pass_done(self, request: GenerationRequest, number: int, seconds: float) -> None:
        self._progress.pass_done(request, number, seconds)

    def shape_done(self, shape: ShapeReport, report: WarmupReport) -> None:
        whole = self._proofs.remember(self._number, report)
        self._progress.shape_done(replace(shape, engine=self._number), whole)
