"""Several processes of one run, on one machine or many: how they meet and keep in step.

All do the same, each on devices of its own, so whatever decides what is computed next
must be the same in all: how long a chunk is, and whether to stop. Process 0 writes.
JAX ends them all soon after one of them died.
"""

import contextlib
import inspect
import os
import signal
import sys
import threading
import time
import traceback
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from nst_jax import progress
from nst_jax.budget import Budget
from nst_jax.config import SpreadConfig
from nst_jax.errors import RequestError

# Seconds without a sign of life after which a process is taken for dead.
_HEARTBEAT = 20
# Seconds that the others stay where the run broke.
_GRACE = 10
# Seconds that processes wait for each other at their end: process 0 may be writing.
_SHUTDOWN = 600

Found = TypeVar("Found")


class AgreedError(RequestError):
    """A request that all processes know to be wrong."""


def connect(settings: SpreadConfig) -> None:
    """Meets the other processes, if there are to be any.

    Raises:
        RequestError: it cannot.
    """
    if not settings.meets():
        return
    # JAX's own end of waiting is a crash without a word of ours.
    late = threading.Timer(settings.connect_timeout, _give_up, [_missed(settings)])
    late.daemon = True
    late.start()
    try:
        _meet(settings)
        with _mute():
            multihost_utils.sync_global_devices("all are there")
    except Exception as error:  # of a type that differs between versions
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise RequestError(f"{_missed(settings)} ({reason})") from None
    finally:
        late.cancel()


def _meet(settings: SpreadConfig) -> None:
    """Waits for the others, and longer than until `connect` gives up."""
    meet: Any = jax.distributed.initialize
    named = bool(settings.coordinator)
    # Not in the oldest versions.
    name = "shutdown_timeout_seconds"
    longer = {name: _SHUTDOWN} if name in inspect.signature(meet).parameters else {}
    meet(
        settings.coordinator or None,
        settings.processes if named else None,
        settings.process if named else None,
        initialization_timeout=int(settings.connect_timeout) + 60,
        heartbeat_timeout_seconds=_HEARTBEAT,
        **longer,
    )
    _hear_again()


def _hear_again() -> None:
    """Python's own handlers once more: JAX has put one for SIGTERM in their place."""
    if threading.current_thread() is threading.main_thread():
        # JAX's is C's, of which Python knows nothing.
        known = signal.getsignal(signal.SIGTERM) or signal.SIG_DFL
        signal.signal(signal.SIGTERM, known)


def _give_up(why: str) -> None:
    progress.warn(why)
    os._exit(2)


@contextlib.contextmanager
def _mute() -> Iterator[None]:
    """A block in which nothing is printed to standard output, by whatever library.

    Gloo tells there who has met whom.
    """
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _missed(settings: SpreadConfig) -> str:
    if settings.distributed:
        return (
            "--distributed needs a cluster that JAX knows, got none or not all of it "
            f"within {settings.connect_timeout:g} s; give --coordinator, --processes "
            "and --process"
        )
    return (
        f"{settings.processes} processes must meet at --coordinator="
        f"{settings.coordinator} within {settings.connect_timeout:g} s, and did not; "
        "start all of them, and look at the address and at --connect_timeout"
    )


def are_several() -> bool:
    """Whether this is one of several processes."""
    return jax.process_count() > 1


def writes() -> bool:
    """Whether this process writes the files of the run, and talks."""
    return jax.process_index() == 0


def together(work: Callable[[], Found]) -> Found:
    """What the work gives, once it went well in all processes.

    Raises:
        RequestError: in one of them the request was wrong.
    """
    if not are_several():
        return work()
    try:
        found = work()
    except RequestError as error:
        _gathered(True)
        raise AgreedError(str(error)) from None
    failed = np.flatnonzero(_gathered(False))
    if failed.size:
        raise AgreedError(
            f"the request must be right in all processes, and process {failed[0]} "
            "refused it; see what it says there"
        )
    return found


def check_alike(facts: Mapping[str, str]) -> None:
    """Raises unless all processes were given the same, as these facts say."""
    if not are_several():
        return
    names = sorted(facts)
    marks = [zlib.crc32(f"{name} {facts[name]}".encode()) >> 1 for name in names]
    # As many numbers from each, however many facts it has.
    whole = _gathered(zlib.crc32(str(names).encode()) >> 1)
    if (whole != whole[0]).any():
        raise AgreedError(
            "all processes must be given the same settings and files; start them with "
            "the same command"
        )
    rows = multihost_utils.process_allgather(np.asarray(marks, np.int32))
    differs = np.argwhere(rows != rows[0])
    if differs.size:
        other, which = differs[0]
        raise AgreedError(
            f"all processes must be given the same, but {names[which]} of process "
            f"{other} is not that of process 0; start them with the same command and "
            "files"
        )


def in_step(timed: Budget) -> Budget:
    """The budget of process 0, in all."""
    if not are_several():
        return timed
    return Budget(
        lambda scale: bool(first(timed.began(scale))),
        lambda step: first(timed.pace(step)),
    )


def least(value: int) -> int:
    """The least that a process has, in all."""
    if not are_several():
        return value
    return int(_gathered(min(value, np.iinfo(np.int32).max)).min())


def first(value: int) -> int:
    """The value of process 0, in all."""
    if not are_several():
        return value
    most = np.iinfo(np.int32).max
    return int(multihost_utils.broadcast_one_to_all(np.int32(min(value, most))))


class Heard(NamedTuple):
    """The signal that asked the run to end, 0 while there is none."""

    anywhere: Callable[[], int]  # in any of the processes; all ask at once
    here: Callable[[], int]  # in this one, or known from there


def heard(stopped: Callable[[], int]) -> Heard:
    """The signals of all processes, from those of this one."""
    if not are_several():
        return Heard(stopped, stopped)
    known: list[int] = []

    def anywhere() -> int:
        if not known:
            number = int(_gathered(stopped()).max())
            known.extend([number] * bool(number))
        return known[0] if known else 0

    return Heard(anywhere, lambda: known[0] if known else stopped())


def warn(line: str) -> None:
    """Prints a line to standard error, once for all processes."""
    if writes():
        progress.warn(line)


@contextlib.contextmanager
def tied() -> Iterator[None]:
    """A block after which no other process waits for this one in vain."""
    try:
        yield
    except AgreedError:
        raise  # all end with it, in good order
    except RequestError as error:
        if are_several():
            progress.warn(str(error))
            leave(2)
        raise
    except Exception:
        if are_several():
            traceback.print_exc()
            leave(1)
        raise


def leave(status: int) -> None:
    """Ends this process, if there are others: they soon end too.

    To leave in good order would be to wait for them, who wait for this one. JAX ends
    process 0 where others are gone, so they give it the time to keep its picture.
    """
    if are_several():
        if not writes():
            time.sleep(_GRACE)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(status)


def _gathered(value: int) -> np.ndarray:
    """The value of each process."""
    return np.ravel(multihost_utils.process_allgather(np.int32(value)))
