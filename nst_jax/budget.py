"""Time for a run, shared out: every scale gets what it needs, or its part of what is.

A clock of the outside: the core asks it whether there is time for a scale, and for the
length of a chunk. Standard library only.
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from nst_jax import scales

# What the end of a run needs, to measure and to write the picture: a share, and the
# most seconds.
_END = (0.03, 1.0)
# Further scales are gone to if no more of the time goes into making them ready.
_MOST_SETUP = 2 / 3


class Budget(NamedTuple):
    """How a run keeps to its time."""

    began: Callable[[int], bool]  # told which scale begins; whether there is time
    pace: Callable[[int], int]  # as that of `solve.run`


class Limits(NamedTuple):
    """How long a run may take, and how it is cut into scales."""

    seconds: float  # 0 sets no limit
    since: float  # when it began, by `time.monotonic`
    pixels: Sequence[int]  # at each scale
    steps: Sequence[int]


def limits(
    seconds: float,
    since: float,
    shapes: Sequence[tuple[int, int]],
    steps: int,
    scale_steps: tuple[int, ...],
) -> Limits:
    """The limits of a run of these shapes."""
    counts = (
        scales.steps_at(index, len(shapes), steps, scale_steps)
        for index in range(len(shapes))
    )
    return Limits(seconds, since, [*map(math.prod, shapes)], [*counts])


def budget(pace: Callable[[int], int], limits: Limits) -> Budget:
    """A pace within a time.

    Each scale may use the time that is left in proportion to its work and to that of
    those to come, after what each needs before its first step; those for which there
    will be no time do not count. A scale that is done earlier leaves the rest to them.
    One that would not come to its first step in time is not begun, but for the first.

    Args:
        pace: the one that counts without it.
        limits: how long it may take.
    """
    if not limits.seconds:
        return Budget(lambda scale: True, pace)
    until = limits.since + limits.seconds - min(_END[0] * limits.seconds, _END[1])
    now_at = _Scale(-1, limits.since, 0.0)
    last = _Call(0, 0, limits.since)  # of this scale

    def began(index: int) -> bool:
        nonlocal now_at, last
        before, now = now_at, time.monotonic()
        needs = _setup(limits, before, index) if before.number >= 0 else 0.0
        now_at = _Scale(index, now, needs)
        last = _Call(0, 0, now)
        return now + needs <= until or before.number < 0

    def allowed(step: int) -> int:
        nonlocal now_at, last
        now = time.monotonic()
        before, last = last, _Call(last.number + 1, step, now)
        usual = pace(step)
        if before.number == 0:
            ready = max(now, now_at.start + now_at.setup)
            return 0 if now_at.setup and ready > until else 1
        if before.number == 1:
            now_at = now_at._replace(setup=now - now_at.start)
            return 1 if _left(limits, now_at, until, now) > 0 else 0
        each = (now - before.time) / max(1, step - before.step)
        count = _left(limits, now_at, until, now) / max(each, 1e-6)
        return min(usual, math.floor(count + 0.5))

    return Budget(began, allowed)


class _Call(NamedTuple):
    """The last time that a scale asked for a length."""

    number: int  # 0 before the first
    step: int
    time: float


class _Scale(NamedTuple):
    """The scale at hand: when it began, and what it takes to its first step."""

    number: int
    start: float
    setup: float  # seconds, as expected or as they were


def _setup(limits: Limits, here: _Scale, index: int) -> float:
    """The seconds to expect before the first step of a scale to come.

    Compiling and preparing take longer for larger pictures: on CPUs about as their
    sides do, where nothing is compiled before.
    """
    return here.setup * math.sqrt(limits.pixels[index] / limits.pixels[here.number])


def _left(limits: Limits, here: _Scale, until: float, now: float) -> float:
    """Seconds that are left to the scale at hand."""
    ready = here.start + here.setup
    whole = max(0.0, until - ready)
    works = [limits.pixels[here.number] * limits.steps[here.number]]
    setups = 0.0
    for index in range(here.number + 1, len(limits.pixels)):
        more = setups + _setup(limits, here, index)
        if more > _MOST_SETUP * whole:
            break
        setups = more
        works.append(limits.pixels[index] * limits.steps[index])
    return ready + (whole - setups) * works[0] / sum(works) - now
