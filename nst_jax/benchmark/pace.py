"""Chunks of steps, timed: first until they take the same time, then for the record.

A chunk is the program's own executable, as long as a run would make it, and it is
timed until its result is there.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from nst_jax import progress, solve
from nst_jax.benchmark import statistics

# The least number of chunks on record, however long they take.
_LEAST = 5
# How much longer than asked the chunks may take to become even.
_PATIENCE = 6


class Fault(Exception):
    """The measured program did not do what it should."""


class Loop(NamedTuple):
    """A job that can be started and advanced; `steps` is where it ends."""

    chunk: Callable[..., Any]  # (problem, state, last step) -> (state, info)
    problem: Any
    start: Callable[[], solve.State]
    steps: int


class Sample(NamedTuple):
    """A timed chunk: the steps before and after it, its time, and what it saw."""

    first: int
    last: int
    seconds: float
    info: solve.Info

    @property
    def each(self) -> float:
        """Seconds a step."""
        return self.seconds / (self.last - self.first)


class Warm(NamedTuple):
    """How a warm-up went, and the length that chunks have after it."""

    state: solve.State
    length: int
    seconds: float
    is_stable: bool


def advance(loop: Loop, state: solve.State, count: int) -> tuple[solve.State, Sample]:
    """Takes that many steps, or as many as there are; at the end it starts again."""
    if int(state.step) >= loop.steps:
        state = jax.block_until_ready(loop.start())
    first = int(state.step)
    last = min(first + count, loop.steps)
    goal = jnp.int32(last)
    started = time.perf_counter()
    state, info = jax.block_until_ready(loop.chunk(loop.problem, state, goal))
    seconds = time.perf_counter() - started
    if int(state.step) != last:
        raise Fault(f"the loss stopped being finite after step {int(state.step)}")
    return state, Sample(first, last, seconds, info)


def warm_up(loop: Loop, state: solve.State, seconds: float) -> Warm:
    """Advances for that long, and on until the chunks take the same time.

    Chunks grow to the length that a run's have.
    """
    started, length = time.perf_counter(), 1
    rates: list[float] = []
    while True:
        state, sample = advance(loop, state, length)
        longest = max(1, int(progress.CHUNK_SECONDS / sample.each))
        longer = min(2 * length, longest, loop.steps)
        rates = [*rates, sample.each] if longer <= length else []
        length = max(length, longer)
        spent = time.perf_counter() - started
        is_stable = statistics.is_stable(rates)
        if spent >= seconds and (is_stable or spent >= _PATIENCE * seconds):
            return Warm(state, length, spent, is_stable)


def steady(loop: Loop, state: solve.State, length: int, seconds: float) -> list[Sample]:
    """Chunks for that long, a few whole ones at least; the end of the job cuts some."""
    samples: list[Sample] = []
    while len(full(samples, length)) < _LEAST or _spent(samples) < seconds:
        state, sample = advance(loop, state, length)
        samples.append(sample)
    return samples


def full(samples: Sequence[Sample], length: int) -> list[Sample]:
    """Those of that length."""
    return [each for each in samples if each.last - each.first == length]


def _spent(samples: Sequence[Sample]) -> float:
    return sum(each.seconds for each in samples)


def whole(loop: Loop, parts: int) -> tuple[solve.State, list[tuple[int, float, float]]]:
    """The job from start to end: its last state, and (step, seconds, loss) on the way.

    The loss is that before the last step of each part.
    """
    state, rows, seconds = loop.start(), [], 0.0
    while int(state.step) < loop.steps:
        state, sample = advance(loop, state, -(-loop.steps // parts))
        seconds += sample.seconds
        rows.append((sample.last, seconds, float(sample.info.value)))
    return state, rows


def evaluations(loop: Loop, last: int, *, is_projected: bool) -> list[int]:
    """How often each of the first steps evaluates the loss and its gradient.

    Once, but for a line search, which says how many it took. It hands the last one
    on to the next step, unless that starts from a projected image.
    """
    state, counts = loop.start(), []
    if searched(state) is None:
        return [1] * last
    while int(state.step) < last:
        state, sample = advance(loop, state, 1)
        fresh = is_projected or sample.first == 0
        counts.append((searched(state) or 0) + fresh)
    return counts


def searched(state: solve.State) -> int | None:
    """The evaluations of the last line search; None without one."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(state.opt_state):
        if getattr(path[-1], "name", "") == "num_linesearch_steps":
            return int(leaf)
    return None
