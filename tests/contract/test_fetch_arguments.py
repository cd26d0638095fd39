"""The init container's arguments, parsed by the command itself."""

import pytest

from controller.api.model_source import ADDRESS
from controller.desired.plan import Target
from model.__main__ import _parser
from model.commands import fetch
from model.sources.address import FORMS, MOUNTED, parse

from .rendering import SERVICES, Object, given, rendered

URIS = ("hf://acme/flux", "hf://acme/flux@main", "s3://art/models/fox", "gs://art/models/fox")


def init_containers(body: Object, target: Target) -> list[Object]:
    found: list[Object] = []
    for each in rendered(body, target):
        spec = each["spec"]
        pod = spec.get("predictor") or spec.get("template", {}).get("spec", {})
        found += pod.get("initContainers", ())
    return found


def with_model(**model: object) -> Object:
    return {**given("minimal"), "spec": {"backend": "Deployment", "model": model}}


@pytest.mark.parametrize("uri", URIS)
def test_c04_the_command_parses_what_is_rendered(uri: str) -> None:
    (container,) = init_containers(with_model(uri=uri), Target.DEPLOYMENT)
    assert container["command"] == ["python", "-m", "model"]
    told = _parser().parse_args(container["args"])
    assert told.run is fetch.run
    assert (told.uri, str(told.folder)) == (uri, "/mnt/models")
    assert parse(told.uri).text == uri
    mounts = {each["mountPath"] for each in container["volumeMounts"]}
    assert str(told.folder) in mounts


@pytest.mark.parametrize("target", Target)
@pytest.mark.parametrize("name", SERVICES)
def test_c04_whatever_is_fetched_has_an_address_that_can_be(name: str, target: Target) -> None:
    for each in init_containers(given(name), target):
        assert parse(_parser().parse_args(each["args"]).uri)


def test_c04_with_a_secret_kserve_does_not_fetch_either() -> None:
    body = with_model(uri="s3://art/fox", secretRef={"name": "bucket"})
    (container,) = init_containers(body, Target.KSERVE)
    assert {"secretRef": {"name": "bucket"}} in container["envFrom"]


def test_c04_the_schemes_of_the_api_are_fetched_or_mounted() -> None:
    for scheme in (*FORMS, *MOUNTED):
        assert (scheme in ADDRESS) == (scheme != "file"), "a pod has no file of the user's"
