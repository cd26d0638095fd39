"""A model into a folder, once: list, choose, check the room, bring what is missing, write down what
was brought. Run again, it goes on; run again afterwards, it does nothing.
"""

import contextlib
import fcntl
import os
import queue
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import InvalidSettings, ModelNotLoadable, NoRoom, SourceUnreachable
from ..telemetry.logs import get_logger
from .address import Address
from .listing import Listing, RemoteFile, Source
from .needed import INDEX, needed
from .patience import FIRST_PAUSE, MOST_FAILURES, patiently
from .progress import Tally, shown
from .record import PLACE, Record, has
from .transfer import PARTS, Transfer, part_of, whole_of

log = get_logger(__name__)

LOCK: Final = "lock"
AT_ONCE: Final = 4
LARGEST_INDEX: Final = 1024 * 1024
SHOW_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Fetched:
    """``files`` and ``bytes`` that came; 0 where everything was there."""

    revision: str
    files: int = 0
    bytes: int = 0


def fetch(
    source: Source,
    address: Address,
    folder: Path,
    at_once: int = AT_ONCE,
    first_pause: float = FIRST_PAUSE,
) -> Fetched:
    """The whole model is in ``folder``. ``first_pause``: seconds, before something that broke off
    is tried again.

    Raises:
        StartupError: why it is not.
    """
    with _alone(folder):
        known = Record.read(folder)
        if known is not None and known.source != address.text:
            raise InvalidSettings(
                f"DIR: {folder} holds {known.source}; empty it, or name another folder"
            )
        complete = known is not None and known.whole(folder)
        if known is not None and complete and known.revision == source.pinned():
            return Fetched(known.revision)
        try:
            listing, wanted = patiently(
                lambda: _wanted(source, address),
                address.text,
                threading.Event().wait,
                first_pause,
                most=1 if complete else MOST_FAILURES,
            )
        except SourceUnreachable as error:
            if known is None or not complete:
                raise
            # What is here is whole. Whether there is something newer, nobody can say now.
            log.warning("served_from_the_folder", revision=known.revision, reason=str(error))
            return Fetched(known.revision)
        missing = tuple(each for each in wanted if not _is_there(folder, each, known))
        if known is not None and not missing and known.revision == listing.revision:
            return Fetched(known.revision)
        _check_strangers(folder, missing, known)
        _check_room(folder, missing)
        _announce(address, listing, wanted, missing)
        _bring_all(source, folder, missing, at_once, first_pause)
        _put_into_place(folder, missing)
        _forget(folder, known, wanted)
        Record.of(address.text, listing.revision, wanted).write(folder)
        shutil.rmtree(folder / PLACE / PARTS, ignore_errors=True)
        return Fetched(listing.revision, len(missing), _bytes(missing))


def _wanted(source: Source, address: Address) -> tuple[Listing, tuple[RemoteFile, ...]]:
    listing = source.listing()
    index = next((each for each in listing.files if each.path == INDEX), None)
    if index is None:
        raise ModelNotLoadable(
            f"{address.text}: there is no {INDEX} in it, so it is not a diffusers folder; check "
            "the path, or save one with pipeline.save_pretrained(FOLDER)"
        )
    if index.size > LARGEST_INDEX:
        raise ModelNotLoadable(f"{address.text}: its {INDEX} has {index.size} bytes")
    content = b"".join(source.read(index, 0)) if index.size else b""
    return listing, needed(listing.files, content, address.text)


def _announce(
    address: Address,
    listing: Listing,
    wanted: tuple[RemoteFile, ...],
    missing: tuple[RemoteFile, ...],
) -> None:
    log.info(
        "fetch_started",
        source=address.text,
        revision=listing.revision,
        files=len(missing),
        of_files=len(wanted),
        bytes=_bytes(missing),
        of_bytes=_bytes(wanted),
    )


def _bring_all(
    source: Source, folder: Path, missing: tuple[RemoteFile, ...], at_once: int, pause: float
) -> None:
    """Several at the same time, the largest first, until one fails."""
    tally, stop = Tally(), threading.Event()
    transfer = Transfer(source, folder, tally.add, stop, pause)
    waiting: queue.SimpleQueue[RemoteFile] = queue.SimpleQueue()
    for each in sorted(missing, key=lambda file: -file.size):
        waiting.put(each)
    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def work() -> None:
        try:
            while not stop.is_set():
                transfer.bring(waiting.get_nowait())
                ended.put(None)
        except queue.Empty:
            return
        except BaseException as error:  # noqa: BLE001 - the thread's end: the main one raises it
            ended.put(error)

    for _ in range(min(at_once, len(missing))):
        threading.Thread(target=work, daemon=True).start()
    left = len(missing)
    with shown(_bytes(missing)) as show:
        try:
            while left:
                with contextlib.suppress(queue.Empty):
                    if (failure := ended.get(timeout=SHOW_SECONDS)) is not None:
                        raise failure
                    left -= 1
                show(tally.bytes)
        finally:
            stop.set()


def _put_into_place(folder: Path, files: tuple[RemoteFile, ...]) -> None:
    """All at once, so that who reads the folder meanwhile sees the one revision or the other."""
    try:
        for each in files:
            target = folder / each.path
            target.parent.mkdir(parents=True, exist_ok=True)
            whole_of(folder, each).replace(target)
    except OSError as error:
        raise NoRoom(
            f"{folder} cannot be written: {error.strerror}; make it writable for this user"
        ) from error


def _is_there(folder: Path, file: RemoteFile, known: Record | None) -> bool:
    return known is not None and known.knows(file) and has(folder, file.path, file.size)


def _check_strangers(folder: Path, missing: tuple[RemoteFile, ...], known: Record | None) -> None:
    """Without a record of ours, what lies there is somebody else's; unless a run ended just while
    it put files into their places, which the folder of parts tells.
    """
    if known is not None or (folder / PLACE / PARTS).is_dir():
        return
    for each in missing:
        if (folder / each.path).exists():
            raise InvalidSettings(
                f"DIR: {folder} has a {each.path} that nobody fetched; empty the folder, or name "
                "another"
            )


def _check_room(folder: Path, missing: tuple[RemoteFile, ...]) -> None:
    there = sum(
        path.stat().st_size
        for each in missing
        for path in (part_of(folder, each), whole_of(folder, each))
        if path.exists()
    )
    lacking = _bytes(missing) - there
    free = shutil.disk_usage(folder).free
    if lacking > free:
        raise NoRoom(
            f"{folder} has {free / 1e9:.2f} GB free, and {lacking / 1e9:.2f} GB are still to come; "
            "give the volume more room"
        )


def _bytes(files: tuple[RemoteFile, ...]) -> int:
    return sum(each.size for each in files)


def _forget(folder: Path, known: Record | None, wanted: tuple[RemoteFile, ...]) -> None:
    """Remove what an earlier revision had and this one has not."""
    kept = {each.path for each in wanted}
    for path in known.files if known else ():
        if path not in kept:
            (folder / path).unlink(missing_ok=True)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Pods that share a volume fetch one after the other; the second finds everything there."""
    place = folder / PLACE
    try:
        place.mkdir(parents=True, exist_ok=True)
        held = os.open(place / LOCK, os.O_RDWR | os.O_CREAT, 0o664)
    except OSError as error:
        raise NoRoom(
            f"{folder} cannot be written: {error.strerror}; mount a volume there that this user "
            "may write"
        ) from error
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("waiting_for_another_fetch", folder=str(folder))
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)
