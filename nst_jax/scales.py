"""From coarse to fine: the long sides to work through, and the updates at each.

Standard library only, so that a wrong setting is answered before JAX is loaded.
"""

import itertools
import math
import re

from nst_jax.errors import RequestError

# By which power of two the sizes fall, and the smallest. "auto" ends where the network,
# which sees a few hundred pixels at once, takes in most of the picture.
_RULES = {
    "none": (1.0, math.inf),
    "auto": (1.0, 321),
    "2": (1.0, 128),
    "sqrt2": (0.5, 128),
}


def sizes(long: int, text: str) -> tuple[int, ...]:
    """The long side at each scale, rising, the last of them `long`.

    Args:
        long: the long side of the result.
        text: `none`; `auto`, its halves while at least 321; `2` and `sqrt2`, falling
            by that factor while at least 128; or a list such as `256,512`, of which
            only what is below `long` counts.

    >>> sizes(1024, "auto"), sizes(512, "sqrt2"), sizes(512, "100,300,700")
    ((512, 1024), (128, 181, 256, 362, 512), (100, 300, 512))
    """
    listed = parse(text) or _falling(long, *_RULES[text])
    return (*(size for size in listed if size < long), long)


def parse(text: str) -> tuple[int, ...]:
    """The sizes that are listed, none for a rule; raises if it is neither."""
    if text in _RULES:
        return ()
    parts = [part.strip() for part in text.split(",")]
    fits = all(re.fullmatch("[1-9][0-9]{0,5}", part) for part in parts)
    listed = tuple(int(part) for part in parts) if fits else ()
    if not fits or any(b <= a for a, b in itertools.pairwise(listed)):
        raise RequestError(
            f"--scales must be none, auto, 2, sqrt2 or rising sizes such as 256,512, "
            f"got {text!r}"
        )
    return listed


def steps_at(
    index: int, count: int, steps: int, scale_steps: tuple[int, ...] = ()
) -> int:
    """The updates at one of `count` scales.

    Args:
        index: which scale, the coarsest being 0.
        count: how many there are.
        steps: the updates at the last; 0 means none anywhere.
        scale_steps: those at the scales before the last; its last value serves all
            that follow, and without any they are `steps`.

    >>> [steps_at(index, 4, 50, (300, 100)) for index in range(4)]
    [300, 100, 100, 50]
    """
    if not scale_steps or not steps or index == count - 1:
        return steps
    return scale_steps[min(index, len(scale_steps) - 1)]


def starts(
    count: int, steps: int, scale_steps: tuple[int, ...] = ()
) -> tuple[int, ...]:
    """The step at which each of `count` scales starts, and that of the end.

    >>> starts(3, 50, (300, 100))
    (0, 300, 400, 450)
    """
    each = (steps_at(index, count, steps, scale_steps) for index in range(count))
    return tuple(itertools.accumulate(each, initial=0))


def _falling(long: int, power: float, least: float) -> tuple[int, ...]:
    """`long` over 2^power, over 2^(2 power), and so on, rounded; rising."""
    found: list[int] = []
    while (size := round(long / 2 ** (power * (len(found) + 1)))) >= least:
        found.append(size)
    return tuple(reversed(found))
