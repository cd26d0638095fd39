"""Which addresses can be fetched from."""

import pytest

from model.errors import InvalidSettings
from model.sources.address import parse


def test_a_model_of_the_hub_may_name_a_revision() -> None:
    found = parse("hf://acme/flux.1@refs/pr/7")
    assert (found.repository, found.revision) == ("acme/flux.1", "refs/pr/7")
    assert parse("hf://acme/flux.1").revision is None


@pytest.mark.parametrize("uri", ["s3://art/models/fox", "gs://art/models/fox/"])
def test_a_folder_of_a_bucket_ends_with_a_slash(uri: str) -> None:
    found = parse(uri)
    assert (found.bucket, found.prefix) == ("art", "models/fox/")


def test_a_whole_bucket_has_no_prefix() -> None:
    assert parse("s3://art").prefix == ""


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("acme/flux", "has no scheme that is known; write hf://ORGANISATION/NAME"),
        ("ftp://acme/flux", "has no scheme that is known"),
        ("hf://flux", "is not of the form hf://ORGANISATION/NAME[@REVISION]"),
        ("hf://acme/flux/vae", "is not of the form"),
        ("s3:///models", "is not of the form s3://BUCKET/PATH"),
        ("file://models", "is not of the form file:///FOLDER"),
        ("embedded://x", "is not of the form embedded://"),
        ("pvc://weights/flux", "Kubernetes mounts the claim"),
        ("oci://registry/flux", "Kubernetes mounts the image"),
    ],
)
def test_c14_what_is_no_address_is_told_with_its_mend(uri: str, says: str) -> None:
    with pytest.raises(InvalidSettings) as refusal:
        parse(uri)
    assert str(refusal.value).startswith("URI: ")
    assert says in str(refusal.value)
