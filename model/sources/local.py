"""A folder of this machine: the embedded model, or one that is to be copied onto another volume."""

from collections.abc import Iterator
from pathlib import Path

from ..errors import ModelNotLoadable
from .listing import CHUNK, Digest, Listing, RemoteFile, revision_of


class Local:
    """``text``: how messages call it."""

    def __init__(self, folder: Path, text: str) -> None:
        self._folder = folder
        self._text = text

    def pinned(self) -> str | None:
        return None

    def listing(self) -> Listing:
        if not self._folder.is_dir():
            raise ModelNotLoadable(f"{self._text}: there is no such folder")
        files = [self._file(each) for each in sorted(self._folder.rglob("*")) if each.is_file()]
        return Listing(revision_of(files), tuple(files))

    def digest(self, file: RemoteFile) -> Digest | None:
        return file.digest

    def read(self, file: RemoteFile, start: int) -> Iterator[bytes]:
        try:
            with (self._folder / file.path).open("rb") as opened:
                opened.seek(start)
                while chunk := opened.read(CHUNK):
                    yield chunk
        except OSError as error:
            raise ModelNotLoadable(f"{self._text}: {file.path}: {error.strerror}") from error

    def _file(self, path: Path) -> RemoteFile:
        found = path.stat()
        return RemoteFile(
            path.relative_to(self._folder).as_posix(), found.st_size, str(found.st_mtime_ns)
        )
