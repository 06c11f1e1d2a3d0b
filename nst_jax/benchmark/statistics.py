"""What many measurements of one thing say: median, and where most of them lie."""

from collections.abc import Sequence
from typing import NamedTuple


class Spread(NamedTuple):
    """The median of n values, and what a tenth of them is below and above."""

    median: float
    p10: float
    p90: float
    n: int


def spread(values: Sequence[float]) -> Spread:
    """The spread of some values, at least one.

    >>> spread([3, 1, 2])
    Spread(median=2.0, p10=1.2, p90=2.8, n=3)
    """
    return Spread(
        quantile(values, 0.5), quantile(values, 0.1), quantile(values, 0.9), len(values)
    )


def quantile(values: Sequence[float], share: float) -> float:
    """The value that a share of the values is below, between neighbours in line.

    >>> quantile([1, 2], 0.25)
    1.25
    """
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def is_stable(values: Sequence[float], within: float = 0.05) -> bool:
    """Whether the last three values lie that near to their median.

    >>> is_stable([9, 1, 1.02, 1.01]), is_stable([1, 1])
    (True, False)
    """
    last = values[-3:]
    middle = quantile(last, 0.5) if last else 0.0
    return len(last) == 3 and all(abs(v - middle) <= within * middle for v in last)
