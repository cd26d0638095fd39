"""An archive is the same for the same content, and is known by what is in it."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from tools.cluster.errors import ClusterError
from tools.cluster.node import archive

NAME = "localhost/tests/hello:1"


def written(file: Path, content: bytes = b"hello") -> Path:
    archive.write(file, NAME, {"hello": content}, entrypoint=["/hello"], links={"hi": "hello"})
    return file


def tar(file: Path, **members: bytes) -> Path:
    """A tar archive with these members, whose dots are written as ``__``."""
    with tarfile.open(file, "w") as whole:
        for name, content in members.items():
            member = tarfile.TarInfo(name.replace("__", "."))
            member.size = len(content)
            whole.addfile(member, io.BytesIO(content))
    return file


def test_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = written(tmp_path / "first.tar"), written(tmp_path / "second.tar")
    assert first.read_bytes() == second.read_bytes()
    assert archive.read(first) == archive.read(second)


def test_other_files_are_another_image_of_the_same_name(tmp_path: Path) -> None:
    first = archive.read(written(tmp_path / "first.tar"))
    second = archive.read(written(tmp_path / "second.tar", b"bye"))
    assert first.names == second.names == (NAME,)
    assert first.digest != second.digest


def test_every_part_is_where_its_digest_says(tmp_path: Path) -> None:
    with tarfile.open(written(tmp_path / "hello.tar")) as whole:

        def blob(described: dict[str, object]) -> bytes:
            file = whole.extractfile(f"blobs/{str(described['digest']).replace(':', '/')}")
            assert file
            content = file.read()
            assert len(content) == described["size"]
            return content

        index = whole.extractfile("index.json")
        assert index
        manifest = json.loads(blob(json.load(index)["manifests"][0]))
        config = json.loads(blob(manifest["config"]))
        (layer,) = (blob(each) for each in manifest["layers"])
    assert config["config"]["Entrypoint"] == ["/hello"]
    assert config["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]
    with tarfile.open(fileobj=io.BytesIO(layer)) as inside:
        assert inside.getmember("hello").mode == 0o755
        assert inside.getmember("hi").linkname == "hello"


def test_archive_of_docker_is_known_by_its_configuration(tmp_path: Path) -> None:
    listed = [{"Config": "config.json", "RepoTags": [NAME, "other:1"], "Layers": ["layer.tar"]}]
    manifest = json.dumps(listed).encode()
    one = tar(tmp_path / "one.tar", manifest__json=manifest, config__json=b'{"layers": "a"}')
    two = tar(tmp_path / "two.tar", manifest__json=manifest, config__json=b'{"layers": "b"}')
    assert archive.read(one).names == (NAME, "other:1")
    assert archive.read(one).digest != archive.read(two).digest


def test_archive_without_a_name_is_refused(tmp_path: Path) -> None:
    index = json.dumps({"manifests": [{"digest": "sha256:0"}]}).encode()
    with pytest.raises(ClusterError, match="have no names"):
        archive.read(tar(tmp_path / "nameless.tar", index__json=index))


def test_what_is_no_archive_of_images_is_refused_with_the_way_to_one(tmp_path: Path) -> None:
    text = tmp_path / "text.tar"
    text.write_text("no archive")
    for file in (text, tar(tmp_path / "other.tar", hello=b"hello")):
        with pytest.raises(ClusterError, match="is no archive of images: write one with `docker"):
            archive.read(file)
    with pytest.raises(ClusterError, match="cannot be read: No such file"):
        archive.read(tmp_path / "missing.tar")
