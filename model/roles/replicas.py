"""All replicas of all roles, as a router sees them: who is there, of which model, and who lacks."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Final

from ..contract.roles import DISAGGREGATED, Role
from ..contract.sampling import ModelDescription
from ..contract.warmup import WarmupMode
from ..settings import Settings
from ..telemetry.metrics import Metrics
from ..transport.configured import SETTING_OF, addresses, pool_options
from ..transport.pool import Listener, Pool
from ..transport.replica import Replica, ReplicaState
from .chain import CHAIN

Prove = Callable[[Role, Replica], Awaitable[None]]

# The states of metrics: a proven replica that does not serve now is ``away``.
AWAY: Final = "away"
STATES: Final = (*map(str, ReplicaState), AWAY)


class Replicas:
    """``changed`` is called when any of them is otherwise than it was.

    Raises:
        InvalidSettings: the settings do not say where a role is.
    """

    def __init__(
        self, settings: Settings, metrics: Metrics, prove: Prove, changed: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._changed = changed
        options = pool_options(settings)
        self._pools: dict[Role, Pool] = {}
        for role in CHAIN:
            retries = metrics.stage_retries.labels(role)
            listener = Listener(self._look, retries.inc)
            self._pools[role] = Pool(
                role, addresses(settings, role), partial(prove, role), options, listener
            )
        self._count()

    def watches(self) -> list[Coroutine[Any, Any, None]]:
        """What follows them, until cancelled."""
        return [each.watch() for each in self._pools.values()]

    def pool(self, role: Role) -> Pool:
        return self._pools[role]

    def able(self, revision: str) -> bool:
        """Whether each role has a replica that can take work."""
        return all(self.usable(role, revision) for role in CHAIN)

    def usable(self, role: Role, revision: str) -> int:
        """How many can take work."""
        return len(self._usable(role, revision))

    def least_busy(self, role: Role, revision: str) -> Replica | None:
        return min(self._usable(role, revision), key=lambda each: each.outstanding, default=None)

    def to_prove(self) -> bool:
        """Whether there is one that could be warm and is not yet."""
        return any(
            each.serving and each.state is ReplicaState.UNPROVEN
            for role in CHAIN
            for each in self._pools[role].replicas
        )

    def proven(self, revision: str) -> frozenset[str]:
        """The processes that passed with this revision, also those that do not serve now."""
        return frozenset(
            each.instance
            for pool in self._pools.values()
            for each in pool.replicas
            if each.state is ReplicaState.PROVEN and each.revision == revision
        )

    def known(self) -> frozenset[str]:
        """All processes that are there."""
        pools = self._pools.values()
        return frozenset(each.instance for pool in pools for each in pool.replicas)

    def reconsider(self) -> None:
        """What failed is to be proven again, by another measure."""
        for each in self._pools.values():
            each.reconsider()

    def hopeless(self, role: Role, failed: Mapping[str, str]) -> str:
        """Why, where every replica of the role has failed its warmup, and there is one."""
        replicas = self._pools[role].replicas
        if not replicas or any(each.instance not in failed for each in replicas):
            return ""
        return "; ".join(f"{each.address}: {failed[each.instance]}" for each in replicas[:4])

    def common_model(self, besides: str = "") -> ModelDescription | None:
        """That which every role has loaded; the denoiser's word counts. Where there are several, it
        is the one with most denoisers. ``besides``: a revision that is not meant.
        """
        loaded = {role: self._loaded(role) for role in CHAIN}
        common = set.intersection(*({each.revision for each in loaded[role]} for role in CHAIN))
        denoisers = [each for each in loaded[Role.DENOISER] if each.revision in common - {besides}]
        revisions = [each.revision for each in denoisers]
        found = max(denoisers, key=lambda each: revisions.count(each.revision), default=None)
        return found.identity.about if found and found.identity else None

    def why_no_model(self) -> str:
        """Which role has none loaded; or that they differ."""
        loaded = {role: {each.revision for each in self._loaded(role)} for role in CHAIN}
        lacking = [self._pools[role].why_none() for role in CHAIN if not loaded[role]]
        if lacking:
            return "; ".join(lacking)
        told = ", ".join(f"{role} {' and '.join(sorted(loaded[role]))}" for role in CHAIN)
        return f"no revision of the model is loaded in every role: {told}"

    def lacking(self, revision: str) -> str | None:
        """For clients: which roles have nobody that can take work. No addresses."""
        found = [
            self._pools[role].why_none(revision)
            for role in CHAIN
            if not self.usable(role, revision)
        ]
        return "; ".join(found) or None

    def why_not(self, revision: str) -> str:
        """For operators: the same, with where each replica is and what is wrong with it."""
        found = []
        for role in CHAIN:
            if not self.usable(role, revision):
                where = getattr(self._settings, SETTING_OF[role])
                reports = self._pools[role].reports()
                each = "; ".join(f"{e.address} is {e.state}: {e.reason}" for e in reports[:4])
                found.append(f"no {role} of {where} can take work ({each or 'none is there'})")
        if not found or not revision:
            found.append(self.why_no_model())
        return ", ".join(found)

    def failures(self) -> list[str]:
        """Those that are kept out, and why."""
        return [
            f"the {role} {each.address} is kept out: {each.reason}"
            for role in CHAIN
            for each in self._pools[role].replicas
            if each.state is ReplicaState.FAILED
        ]

    def as_json(self, revision: str, run_of: Callable[[str], int | None]) -> dict[str, Any]:
        """By role, for metadata. ``chain``: in which of the report's engines it was proven."""
        found: dict[str, Any] = {}
        for role in CHAIN:
            reports = self._pools[role].reports()
            found[str(role)] = {
                "ready": sum(each.serving for each in reports),
                "proven": self.usable(role, revision),
                "of": len(self._pools[role].replicas),
                "mode": str(WarmupMode.OFF),
                "reason": DISAGGREGATED,
                "replicas": [
                    {
                        "address": each.address,
                        "state": str(each.state),
                        "serving": each.serving,
                        "reason": each.reason,
                        "outstanding": each.running,
                        "revision": each.revision,
                        "instance": each.instance,
                        "chain": run_of(each.instance),
                    }
                    for each in reports
                ],
            }
        return found

    def _usable(self, role: Role, revision: str) -> list[Replica]:
        replicas = self._pools[role].replicas
        return [each for each in replicas if each.usable and each.revision == revision]

    def _loaded(self, role: Role) -> list[Replica]:
        replicas = self._pools[role].replicas
        return [e for e in replicas if e.serving and e.identity and e.identity.about]

    def _look(self) -> None:
        self._count()
        self._changed()

    def _count(self) -> None:
        for role in CHAIN:
            pool = self._pools.get(role)
            counts = dict.fromkeys(STATES, 0)
            for each in pool.reports() if pool else ():
                away = each.state is ReplicaState.PROVEN and not each.serving
                counts[AWAY if away else str(each.state)] += 1
            for state, count in counts.items():
                self._metrics.replicas.labels(role, state).set(count)
