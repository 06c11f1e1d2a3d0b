"""What a person sees and can do while a run goes on: bar, pace, interruption."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NamedTuple

from tqdm import tqdm

# A chunk lasts about this long: short enough to stop and to show progress.
CHUNK_SECONDS = 0.5


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
    bar: tqdm[None] = tqdm(total=steps, unit="step", leave=False, desc="compiling")

    def show(step: int, total: float) -> None:
        if step and bar.n == 0:
            # The first step compiled; the speed is that of those that follow.
            bar.set_description("stylizing", refresh=False)
            bar.reset(steps)
            bar.n = bar.initial = step
        bar.set_postfix_str(f"loss {total:.4g}", refresh=False)
        bar.update(step - bar.n)

    return Watch(show, bar.close)


def _lines(steps: int) -> Watch:
    started = time.monotonic()
    warm: list[tuple[int, float]] = []
    print("compiling ...", flush=True)

    def show(step: int, total: float) -> None:
        now = time.monotonic()
        if step == 0:
            return
        if not warm:
            warm.append((step, now))
            print(f"compiled in {now - started:.1f} s", flush=True)
        first, since = warm[0]
        tenth = max(1, steps // 10)
        if step == first or (step % tenth and step != steps):
            return
        rate = (step - first) / max(now - since, 1e-9)
        print(
            f"step {step}/{steps}  loss {total:.4g}  {rate:.2f} steps/s  "
            f"{(steps - step) / rate:.0f} s left",
            flush=True,
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


@contextmanager
def interruptible() -> Iterator[Callable[[], int]]:
    """The signal that asked the run to end, 0 while there is none.

    The first Ctrl-C or SIGTERM is remembered, so that the picture can be kept;
    the second acts at once.
    """
    received: list[int] = []
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [(each, signal.getsignal(each)) for each in signals]

    def remember(number: int, frame: FrameType | None) -> None:
        del frame
        received.append(number)
        for each in signals:
            signal.signal(each, signal.SIG_DFL)

    for each in signals:
        signal.signal(each, remember)
    try:
        yield lambda: received[0] if received else 0
    finally:
        for each, handler in before:
            signal.signal(each, handler)
