"""What a person sees and can do while a run goes on: lines, bar, interruption."""

import itertools
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, NamedTuple

# A chunk lasts about this long: short enough to stop and to show progress, and long
# enough to forget that each begins with fresh memory, which costs up to a third of a
# step.
CHUNK_SECONDS = 1.0
# Who hears the lines of this thread besides the terminal.
_LISTENER: ContextVar[Callable[[str], None] | None] = ContextVar("nst", default=None)
# Which of many jobs this thread's warnings are about.
_JOB: ContextVar[str] = ContextVar("job", default="")


class Onlooker(NamedTuple):
    """Who follows a run from elsewhere than the terminal, and may end it.

    `sees` is given the step and its image, an array, at each pause (None for steps that
    several jobs take together); after one at which `stops` says so, the run ends and
    keeps its picture.
    """

    sees: Callable[[int, Any], None]
    stops: Callable[[], bool]


NOBODY = Onlooker(lambda step, image: None, lambda: False)


def say(line: str) -> None:
    """Prints a line, if anybody is there to read it."""
    _tell(line)
    _print(line, sys.stdout)


def warn(line: str) -> None:
    """Prints a line to standard error, under the program's name."""
    _tell(line)
    job = _JOB.get()
    _print(f"nst-jax: {job}: {line}" if job else f"nst-jax: {line}", sys.stderr)


def _tell(line: str) -> None:
    listen = _LISTENER.get()
    if listen:
        listen(line)


@contextmanager
def overheard(listen: Callable[[str], None]) -> Iterator[None]:
    """A block in which the lines of this thread are told to somebody else as well."""
    token = _LISTENER.set(listen)
    try:
        yield
    finally:
        _LISTENER.reset(token)


@contextmanager
def about(job: str) -> Iterator[None]:
    """A block in which the warnings of this thread name a job."""
    token = _JOB.set(job if job.isprintable() else repr(job))
    try:
        yield
    finally:
        _JOB.reset(token)


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


class Jobs(NamedTuple):
    """How to tell of many jobs."""

    step: Callable[[str, int, int], None]  # of a job: its step, and how many there are
    done: Callable[[str, str], None]  # of a job: what came of it
    close: Callable[[], None]


def jobs(count: int, *, quiet: bool) -> Jobs:
    """A bar over all jobs in a terminal, a line for each elsewhere."""
    if quiet or not count:
        return Jobs(lambda *_: None, lambda *_: None, lambda: None)
    return _bar_of_jobs(count) if sys.stderr.isatty() else _lines_of_jobs(count)


def _bar_of_jobs(count: int) -> Jobs:
    from tqdm import tqdm

    bar: tqdm[None] = tqdm(total=count, unit="job", leave=False)

    def step(name: str, step: int, steps: int) -> None:
        bar.set_postfix_str(f"{name}: step {step} of {steps}")

    def done(name: str, said: str) -> None:
        del name, said  # what went wrong was told
        bar.update()

    return Jobs(step, done, bar.close)


def _lines_of_jobs(count: int) -> Jobs:
    numbers = itertools.count(1)

    def done(name: str, said: str) -> None:
        say(f"{next(numbers)} of {count}: {name}: {said}")

    return Jobs(lambda *_: None, done, lambda: None)
