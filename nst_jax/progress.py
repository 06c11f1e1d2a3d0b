"""What a person sees and can do while a run goes on: lines, bar, interruption."""

import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NamedTuple

# A chunk lasts about this long: short enough to stop and to show progress, and long
# enough to forget that each begins with fresh memory, which costs up to a third of a
# step.
CHUNK_SECONDS = 1.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def say(line: str) -> None:
    """Prints a line, if anybody is there to read it."""
    _print(line, sys.stdout)


def warn(line: str) -> None:
    """Prints a line to standard error, under the program's name."""
    _print(f"nst-jax: {line}", sys.stderr)


def _print(line: str, stream: Any) -> None:  # notebooks have streams of their own
    try:
        print(line, file=stream, flush=True)
    except OSError:
        # Whoever read it has gone (`| head -1`), or the disk is full: the picture
        # matters more. Without this the exit of Python would fail as well.
        with suppress(OSError), open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())


class Watch(NamedTuple):
    """How to tell of a step, and how to end."""

    show: Callable[[int, float], None]  # step, total
    close: Callable[[], None]


def watch(steps: int, *, quiet: bool) -> Watch:
    """A progress bar in a terminal, plain lines elsewhere, nothing when quiet."""
    if quiet or not steps:
        return Watch(lambda step, total: None, lambda: None)
    return _bar(steps) if sys.stderr.isatty() else _lines(steps)


def _bar(steps: int) -> Watch:
    from tqdm import tqdm

    bar: tqdm[None] = tqdm(total=steps, unit="step", leave=False, desc="compiling")

    def show(step: int, total: float) -> None:
        if step and bar.n == 0:
            # The first step compiled; the speed is that of those that follow.
            bar.set_description("stylizing", refresh=False)
            bar.reset(steps)
            bar.n = bar.initial = step
        if not math.isnan(total):  # nothing was measured yet
            bar.set_postfix_str(f"loss {total:.4g}", refresh=False)
        bar.update(step - bar.n)

    return Watch(show, bar.close)


def _lines(steps: int) -> Watch:
    started = time.monotonic()
    warm: list[tuple[int, float]] = []
    tenths = [0]
    say("compiling ...")

    def show(step: int, total: float) -> None:
        now = time.monotonic()
        if step == 0:
            return
        before, tenths[0] = tenths[0], 10 * step // steps
        if not warm:
            warm.append((step, now))
            say(f"compiled in {now - started:.1f} s")
        first, since = warm[0]
        if step == first or before == tenths[0]:
            return
        rate = (step - first) / max(now - since, 1e-9)
        say(
            f"step {step}/{steps}  loss {total:.4g}  {rate:.2f} steps/s  "
            f"{(steps - step) / rate:.0f} s left"
        )

    return Watch(show, lambda: None)


def pace(stops: Callable[[int], int]) -> Callable[[int], int]:
    """How many steps the next chunk may take: about `CHUNK_SECONDS` of them.

    `stops(step)` says how many steps there are to the next one at which the
    caller has something to do.
    """
    last: list[tuple[int, float, int]] = []

    def allowed(step: int) -> int:
        now = time.monotonic()
        length = 1
        if last:
            before, since, length = last[-1]
            speed = (step - before) / max(now - since, 1e-6)
            # The first chunk compiled, so it says nothing of the speed.
            length = min(2 * length, max(1, int(speed * CHUNK_SECONDS)))
        last[:] = [(step, now, length)]
        return min(length, stops(step))

    return allowed


def until(step: int, *periods: int) -> int:
    """Steps to the next multiple of any period above zero.

    >>> until(7, 5, 0, 100)
    3
    """
    return min((p - step % p for p in periods if p > 0), default=sys.maxsize)


def quit_on_signals() -> None:
    """Lets Ctrl-C and SIGTERM end the process at once, as long as nothing is kept.

    Nothing is raised: an exception inside JAX's C++ code crashes it or is lost.
    """

    def quit_now(number: int, frame: FrameType | None) -> None:
        del frame
        with suppress(Exception):
            warn(f"interrupted ({signal.Signals(number).name})")
        os._exit(128 + number)

    for each in _SIGNALS:
        signal.signal(each, quit_now)


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

    def remember(number: int, frame: FrameType | None) -> None:
        del frame
        received.append(number)

    with _watched():
        before = [(each, signal.signal(each, remember)) for each in _SIGNALS]
        try:
            yield lambda: received[0] if received else 0
        finally:
            for each, handler in before:
                signal.signal(each, handler or signal.SIG_DFL)


@contextmanager
def _watched() -> Iterator[None]:
    """A block in which the second signal ends the process.

    Handlers in Python wait until the main thread is back from a long call; the
    number of a signal is written to this socket at once, and a thread reads it.
    """
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    thread = threading.Thread(target=_end_at_the_second, args=(ours,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        theirs.close()
        thread.join()
        ours.close()


def _end_at_the_second(numbers: socket.socket) -> None:
    seen = 0
    while data := numbers.recv(64):
        for number in data:
            if number not in _SIGNALS:
                continue
            seen += 1
            if seen == 1:
                with suppress(Exception):  # the second must be heard in any case
                    warn(
                        "stopping after this step, with the picture; once more: at once"
                    )
            else:
                os._exit(128 + number)
