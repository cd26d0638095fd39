"""``render`` and ``validate``: what can be said of a DiffusionService without a cluster (C15,
C14).
"""

import sys
from collections.abc import Callable

import yaml

from .api.spec import Backend
from .api.validation import validated
from .desired.defaults import LATEST, REVISIONS
from .desired.limits import check_names
from .desired.plan import Plan, Target
from .desired.render import render
from .documents import Document, read_documents
from .errors import InvalidService
from .service import Service


def validate_files(files: list[str], namespace: str) -> int:
    """Check every DiffusionService in ``files``; return the exit status."""
    return _each(files, lambda document: _validate(document, namespace))


def render_files(files: list[str], namespace: str, backend: Target, image: str) -> int:
    """Print what would be applied for every DiffusionService in ``files``; return the exit
    status.
    """
    return _each(files, lambda document: _render(document, namespace, backend, image))


def _each(files: list[str], act: Callable[[Document], None]) -> int:
    status, found = 0, 0
    for document in read_documents(files):
        if not document.is_service:
            continue
        found += 1
        try:
            act(document)
        except InvalidService as error:
            for problem in error.problems:
                print(f"{document.place}: {problem}", file=sys.stderr)
            status = error.exit_code
    if not found:
        print(f"{', '.join(files)}: there is no DiffusionService in it", file=sys.stderr)
        return InvalidService.exit_code
    return status


def _validate(document: Document, namespace: str) -> None:
    service = _service(document, namespace)
    if service.spec.backend is Backend.KSERVE:
        check_names(_plan(service, Target.KSERVE, image=""))
    print(f"{document.place}: {service.namespace}/{service.name} is valid")


def _render(document: Document, namespace: str, backend: Target, image: str) -> None:
    service = _service(document, namespace)
    target = backend
    if service.spec.backend is Backend.AUTO:
        print(
            f"{document.place}: spec.backend is Auto: rendered for {target}; choose with --backend",
            file=sys.stderr,
        )
    else:
        target = Target(str(service.spec.backend))
    plan = _plan(service, target, image)
    check_names(plan)
    for each in render(plan):
        print("---")
        print(yaml.safe_dump(each, sort_keys=False, width=100), end="")


def _service(document: Document, namespace: str) -> Service:
    content = validated(document.content)
    metadata = {"namespace": namespace, **content["metadata"]}
    return Service.read({**content, "metadata": metadata})


def _plan(service: Service, target: Target, image: str) -> Plan:
    return Plan(service, target, REVISIONS[LATEST], image)
