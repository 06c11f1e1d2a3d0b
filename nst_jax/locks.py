"""Locks that end with the process that holds them, however it ends.

They are the operating system's own, of a file that is there only while one is held or
after a kill, when it locks nobody out. Between machines they hold where the file
system has them. Standard library only.
"""

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    try:
        import fcntl
    except ImportError:  # a system without processes
        fcntl = None  # type: ignore[assignment]

NAME = ".nst_jax.lock"
_PAUSE = 0.02  # seconds between attempts
# What the systems say where another has it.
_TAKEN = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)


@contextmanager
def held(folder: Path, patience: float = 0.0, name: str = NAME) -> Iterator[bool]:
    """A block in which no other has the lock of a folder, or whether it has.

    Args:
        folder: what is locked; it may be reached by several names.
        patience: seconds to wait while another has it.
        name: which lock of that folder.

    Raises:
        OSError: there are no locks, or not there.
    """
    path = folder / name
    number = _taken(path, time.monotonic() + patience)
    try:
        yield number is not None
    finally:
        if number is not None:
            _let_go(number, path)


def _taken(path: Path, until: float) -> int | None:
    """The open file that is locked now, or None if another has it till then."""
    while True:
        number = _opened(path)
        try:
            is_locked = _lock(number)
            is_there = is_locked and _is_of(number, path)
        except BaseException:
            os.close(number)
            raise
        if is_there:
            return number
        os.close(number)
        # Else who had it has just deleted it, and its name is free.
        if not is_locked:
            if time.monotonic() >= until:
                return None
            time.sleep(_PAUSE)


def _opened(path: Path) -> int:
    # Whatever somebody may have put there is neither followed nor waited for.
    kind = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | kind, 0o666)
    except PermissionError:
        if not path.exists():
            raise
        return os.open(path, os.O_RDONLY | kind)  # another user's


def _lock(number: int) -> bool:
    try:
        if sys.platform == "win32":
            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
        elif fcntl is None:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        else:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        raise
    return True


def _is_of(number: int, path: Path) -> bool:
    """Whether the open file still has its name."""
    try:
        return os.path.samestat(os.fstat(number), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _let_go(number: int, path: Path) -> None:
    if os.name == "nt":
        # There nobody can delete what another has open.
        os.close(number)
        with suppress(OSError):
            path.unlink()
        return
    with suppress(OSError):
        path.unlink()
    os.close(number)
