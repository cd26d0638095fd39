"""How the weights come into the pods, by the scheme of ``spec.model.uri``.

KServe downloads with its own storage initializer, where the backend is KServe. It takes credentials
from service accounts alone, so with a secretRef the pods download themselves, as they do without
KServe: in an init container that runs ``python -m model fetch``.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from model.contract.roles import Role

from ..api.base import Object
from ..api.model_source import BUCKETS, CLAIM, EMBEDDED, HUB, REGISTRY
from ..api.template import MODEL_FOLDER
from .plan import Part, Plan

# Where images that hold models have them, by KServe's convention.
IMAGE_MODELS: Final = "models"
VOLUME: Final = "model"
CACHE_VOLUME: Final = "cache"


@dataclass(frozen=True, slots=True)
class Storage:
    """``address``: for ``--model``; None where no model is loaded. ``fetched``: what the init
    container downloads. ``storage_uri``: what KServe downloads.
    """

    address: str | None
    volumes: tuple[Object, ...] = ()
    mounts: tuple[Object, ...] = ()
    fetched: str | None = None
    storage_uri: str | None = None
    pull_secret: str | None = None


def storage(plan: Plan, part: Part) -> Storage:
    """The way of the weights into the pods of ``part``."""
    model = plan.service.spec.model
    if part.role is Role.ROUTER:
        return Storage(None)
    if model.scheme == EMBEDDED:
        return Storage(model.uri)
    if model.scheme == CLAIM:
        return _from_claim(model.place)
    if plan.on_kserve(part) and (model.secret_ref is None or model.scheme == REGISTRY):
        secret = model.secret_ref.name if model.secret_ref else None
        return Storage(
            MODEL_FOLDER, storage_uri=kserve_address(model.scheme, model.uri), pull_secret=secret
        )
    if model.scheme == REGISTRY:
        return _from_image(plan)
    assert model.scheme in (HUB, *BUCKETS)
    return _downloaded(plan)


def kserve_address(scheme: str, uri: str) -> str:
    """KServe writes a revision of the hub after a colon."""
    return uri.replace("@", ":") if scheme == HUB else uri


def _from_claim(place: str) -> Storage:
    claim, _, path = place.partition("/")
    path = path.strip("/")
    return Storage(
        f"{MODEL_FOLDER}/{path}" if path else MODEL_FOLDER,
        volumes=(
            {
                "name": VOLUME,
                "persistentVolumeClaim": {"claimName": claim, "readOnly": True},
            },
        ),
        mounts=({"name": VOLUME, "mountPath": MODEL_FOLDER, "readOnly": True},),
    )


def _from_image(plan: Plan) -> Storage:
    model, runtime = plan.service.spec.model, plan.service.spec.runtime
    return Storage(
        f"{MODEL_FOLDER}/{IMAGE_MODELS}",
        volumes=(
            {
                "name": VOLUME,
                "image": {
                    "reference": model.place,
                    "pullPolicy": str(runtime.image_pull_policy),
                },
            },
        ),
        mounts=({"name": VOLUME, "mountPath": MODEL_FOLDER, "readOnly": True},),
        pull_secret=model.secret_ref.name if model.secret_ref else None,
    )


def _downloaded(plan: Plan) -> Storage:
    """Into the cache where that outlives the pods, else into a folder of the pod's own."""
    spec = plan.service.spec
    mount: Object = {"name": VOLUME, "mountPath": MODEL_FOLDER}
    volumes: tuple[Object, ...] = ({"name": VOLUME, "emptyDir": {}},)
    if spec.cache.persistent_volume_claim is not None:
        digest = hashlib.sha256(spec.model.uri.encode()).hexdigest()[:16]
        mount = {**mount, "name": CACHE_VOLUME, "subPath": f"models/{digest}"}
        volumes = ()
    return Storage(MODEL_FOLDER, volumes=volumes, mounts=(mount,), fetched=spec.model.uri)
