"""Time for a run, shared out: every scale gets what it needs, or its part of what is.

A clock of the outside: the core asks it for the length of a chunk.
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

# What the end of a run needs, to measure and to write the picture: a share, and the
# most seconds.
_END = (0.03, 1.0)


class Budget(NamedTuple):
    """How a run keeps to its time."""

    began: Callable[[int], None]  # told which scale begins
    pace: Callable[[int], int]  # as that of `solve.run`


def budget(
    pace: Callable[[int], int],
    works: Sequence[float],
    seconds: float,
    since: float,
) -> Budget:
    """A pace within a time.

    Each scale before the last may use the time that is left in proportion to its work
    and to that of those to come, after what each needs before its first step. A scale
    that is done earlier leaves the rest to them.

    Args:
        pace: the one that counts without it.
        works: the work at each scale, in any unit.
        seconds: that the run may take; 0 sets no limit.
        since: when it began, by `time.monotonic`.
    """
    if not seconds:
        return Budget(lambda scale: None, pace)
    until = since + seconds - min(_END[0] * seconds, _END[1])
    scale, start, setup = [0], [since], [0.0]
    last: list[tuple[int, float]] = []  # step and time at each call of this scale

    def began(index: int) -> None:
        scale[0], start[0] = index, time.monotonic()
        last.clear()

    def left(now: float) -> float:
        """Seconds that are left to this scale."""
        here = scale[0]
        share = works[here] / sum(works[here:])
        later = setup[0] * (len(works) - here - 1)
        whole = until - start[0] - later - setup[0]
        return start[0] + setup[0] + max(0.0, whole) * share - now

    def allowed(step: int) -> int:
        now = time.monotonic()
        before = list(last)
        last.append((step, now))
        usual = pace(step)
        if not before:
            # The first step compiles, for as long as that of the scale before.
            is_late = scale[0] > 0 and now + setup[0] > until
            return 0 if is_late else 1
        if len(before) == 1:
            setup[0] = now - start[0]
            return 1 if left(now) > 0 else 0
        done = step - before[-1][0]
        each = (now - before[-1][1]) / max(1, done)
        count = left(now) / max(each, 1e-6)
        return min(usual, math.floor(count + 0.5))

    return Budget(began, allowed)
