"""The shipped chart on a cluster, with images that its nodes have."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.chart.support import Helm
from tests.cluster.support.images import Images
from tests.cluster.support.kubectl import Kubectl

NAME: Final = "kiln"
NAMESPACE: Final = "kiln-system"
OPERATOR: Final = "kiln-operator"
# What a pod of the operator may take to become Ready, and what `helm test` may take.
MINUTES: Final = 3
TEST_MINUTES: Final = 5


@dataclass(frozen=True, slots=True)
class Installation:
    """``kubectl``: in the release's namespace."""

    helm: Helm
    kubectl: Kubectl
    images: Images

    def install(self) -> str:
        """Return when the operator is Ready; what Helm said."""
        return self._run("install", str(self.helm.chart), *self._values(), *_waiting(MINUTES))

    def upgrade(self, *flags: str) -> str:
        """The same, for other values."""
        words = ("--reset-then-reuse-values", *flags, *_waiting(MINUTES))
        return self._run("upgrade", str(self.helm.chart), *words)

    def rollback(self) -> str:
        """To the revision before."""
        return self._run("rollback", *_waiting(MINUTES))

    def test(self) -> str:
        """The chart's own test; its log."""
        return self._run("test", "--logs", "--timeout", f"{TEST_MINUTES}m")

    def uninstall(self) -> str:
        """Return when the operator is gone."""
        return self._run("uninstall", *_waiting(MINUTES))

    def _run(self, verb: str, *words: str) -> str:
        return self.helm.run(verb, NAME, *words, seconds=(TEST_MINUTES + 1) * 60)

    def _values(self) -> Iterator[str]:
        """What somebody with a registry of his own would set, and the runtime for InferenceServices
        without the operator.
        """
        for place, image in (("operator", self.images.controller), ("model", self.images.model)):
            repository, _, tag = image.rpartition(":")
            yield from ("--set-string", f"{place}.image.repository={repository}")
            yield from ("--set-string", f"{place}.image.tag={tag}")
        yield from ("--set", "servingRuntime.enabled=true")


def _waiting(minutes: int) -> tuple[str, ...]:
    return ("--wait", "--timeout", f"{minutes}m")
