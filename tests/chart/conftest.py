"""The real programs: helm, kubeconform, kube-score and promtool, built once into the user's cache;
kubectl as PyPI has it. Without Go to build them, the tier is skipped, which CI does not accept.
"""

import sys
from pathlib import Path

import pytest

from tests.chart.support import CHART, Helm, Program
from tools.cluster.build import build_all, find_go, unbuilt
from tools.cluster.errors import GoMissing
from tools.cluster.families import CHART_FAMILIES

BUILD_SECONDS = 3600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not unbuilt(CHART_FAMILIES):
        return
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(BUILD_SECONDS))


@pytest.fixture(scope="session")
def built() -> dict[str, Path]:
    """The folder of each family's programs."""
    try:
        if unbuilt(CHART_FAMILIES):
            find_go()
    except GoMissing as missing:
        pytest.skip(str(missing))
    return build_all(CHART_FAMILIES)


@pytest.fixture(scope="session")
def helm(built: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """With the shipped chart."""
    return Helm(built["helm"] / "helm", CHART, tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def kubeconform(built: dict[str, Path]) -> Program:
    return Program(built["linters"] / "kubeconform")


@pytest.fixture(scope="session")
def kube_score(built: dict[str, Path]) -> Program:
    return Program(built["linters"] / "kube-score")


@pytest.fixture(scope="session")
def promtool(built: dict[str, Path]) -> Program:
    return Program(built["prometheus"] / "promtool")


@pytest.fixture(scope="session")
def kustomize() -> Program:
    """``kubectl kustomize``, of the PyPI package beside this Python."""
    return Program(Path(sys.executable).parent / "kubectl", ("kustomize",))
