"""Ctrl-C and SIGTERM: how a process ends with its work kept, or at once.

Python's handlers wait until the main thread is back from a long call, such as the
compiler's. The number of a signal is written to a socket at once, though, and a thread
reads it there: so whatever must not wait is done by that thread.
"""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from nst_jax.progress import warn

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Seconds after a signal in which a call that cannot be broken off may come to its end.
_GRACE = 1.0

# What ends the process from within such a call, and who decides that it does.
_ENDS: list[Callable[[int], None]] = []
_DECIDING = threading.Lock()
_QUITTING = threading.Lock()
_QUITTER: list[int] = []  # the thread that has it
# Sockets that are to stay open as long as the process.
_HEARING: list[object] = []


def quit_on_signals() -> None:
    """Lets Ctrl-C and SIGTERM end the process at once, as long as nothing is kept.

    Nothing is raised: an exception inside JAX's C++ code crashes it or is lost.
    """
    for each in _SIGNALS:
        signal.signal(each, _quit_now)

    def hear(number: int) -> None:
        # Others may have put their own handlers there since.
        if signal.getsignal(number) is _quit_now:
            _quit_now(number, None)

    _HEARING.append(_start(hear))


def _quit_now(number: int, frame: FrameType | None) -> None:
    del frame
    if threading.get_ident() in _QUITTER:
        os._exit(128 + number)  # the second, while the line below waits for a terminal
    if not _QUITTING.acquire(blocking=False):
        time.sleep(60)  # the other thread is doing it
    _QUITTER.append(threading.get_ident())
    with suppress(Exception):
        warn(f"interrupted ({signal.Signals(number).name})")
    os._exit(128 + number)


@contextmanager
def interruptible() -> Iterator[Callable[[], int]]:
    """The signal that asked the run to end, 0 while there is none.

    The first Ctrl-C or SIGTERM is remembered, so that the picture can be kept; the
    second ends the process at once, also while the compiler or the device works.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: 0  # Python gives signals to the main thread only
        return
    received: list[int] = []
    is_over = threading.Event()

    def remember(number: int, frame: FrameType | None) -> None:
        del frame
        received.append(number)

    with _heard(_end_at_the_second(is_over)):
        before = [(each, signal.signal(each, remember)) for each in _SIGNALS]
        try:
            yield lambda: received[0] if received else 0
        finally:
            with _DECIDING:
                is_over.set()
            for each, handler in before:
                signal.signal(each, handler or signal.SIG_DFL)


@contextmanager
def breakable(end: Callable[[int], None]) -> Iterator[None]:
    """A block that a signal ends after a second, within a call that knows of none.

    Then `end` is called with the signal's number, from another thread, and the process
    ends. So it does only within `interruptible`, in a program that has begun with
    `quit_on_signals`.
    """
    _ENDS.append(end)
    try:
        yield
    finally:
        # While `end` is at work this waits, and so for ever.
        with _DECIDING:
            _ENDS.remove(end)


def _end_at_the_second(is_over: threading.Event) -> Callable[[int], None]:
    seen: list[int] = []

    def hear(number: int) -> None:
        seen.append(number)
        if len(seen) > 1:
            os._exit(128 + number)
        late = threading.Thread(target=_break_off, args=(number, is_over), daemon=True)
        late.start()
        with suppress(Exception):  # the second must be heard in any case
            warn("stopping after this step, with the picture; once more: at once")

    return hear


def _break_off(number: int, is_over: threading.Event) -> None:
    """Ends the process, if it is in a call then that can be broken off."""
    is_over.wait(_GRACE)
    with _DECIDING:
        # Where Python goes on after the run, as in a notebook, nothing may end it.
        if is_over.is_set() or not _ENDS or not _HEARING:
            return
        try:
            _ENDS[-1](number)
        finally:
            os._exit(128 + number)


@contextmanager
def _heard(hear: Callable[[int], None]) -> Iterator[None]:
    """A block in which a thread hears the signals at once."""
    thread, ours, theirs, before = _start(hear)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        theirs.close()
        thread.join()
        ours.close()


def _start(
    hear: Callable[[int], None],
) -> tuple[threading.Thread, socket.socket, socket.socket, int]:
    """The thread that hears from now on, its sockets, and who heard before."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)

    def listen() -> None:
        while data := ours.recv(64):
            for number in data:
                if number in _SIGNALS:
                    hear(number)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    return thread, ours, theirs, before
