"""A cluster of the benchmark's own: etcd, API server and controller manager, as the tests have it.
No node, so that pods stay pending and cost nothing, and no KServe: what it does is not the
operators'.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import yaml

from controller.api.kinds import SERVICE
from tools.cluster import cluster
from tools.cluster.errors import ClusterError
from tools.cluster.places import running_folder

from ..errors import NotMeasurable
from .api import Api

DEFINITION: Final = Path(__file__).parents[2] / "manifests/crd/diffusionservices.yaml"
DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SERVED_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.1


@contextlib.contextmanager
def running_cluster() -> Iterator[Path]:
    """The administrator's kubeconfig of a cluster that serves DiffusionServices.

    Raises:
        NotMeasurable: it could not be built or started.
    """
    folder = running_folder() / f"benchmark-{os.getpid()}"
    try:
        record = cluster.up(folder, os.getpid(), without=("kserve-manager",))
        kubeconfig = record.layout.kubeconfig()
        with contextlib.closing(Api(kubeconfig)) as api:
            _define(api)
        yield kubeconfig
    except ClusterError as error:
        raise NotMeasurable(str(error)) from error
    finally:
        cluster.down(folder)


def _define(api: Api) -> None:
    definition = yaml.safe_load(DEFINITION.read_text(encoding="utf-8"))
    api.apply(f"{DEFINITIONS}/{definition['metadata']['name']}", definition)
    deadline = time.monotonic() + SERVED_SECONDS
    while not api.exists(SERVICE.path(None)):
        if time.monotonic() > deadline:
            raise NotMeasurable("the API server does not serve DiffusionServices")
        time.sleep(POLL_SECONDS)
