"""What ends a chunk before its last step: a fault, or a loss that has settled.

All of it is decided on the device, from numbers that travel with the state, so that it
falls on the same step however long the chunks are.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from nst_jax.arrays import Image, Scalar

# A loss so many times the ceiling has exploded: no step that leads anywhere passes
# there. Nor does a pixel so far from 0..1.
_EXPLOSION = 100.0
_FARTHEST = 100.0
# So many steps above the ceiling, one after the other, lead nowhere either.
_PATIENCE = 10
# Line searches without success, one after the other, after which no more are tried.
_STALL = 3
# Steps after a restart in which a line search that stalls again has gained nothing.
_SOON = 30

# What may be wrong with a step; 0 is nothing.
BROKEN, EXPLODED, RISEN, STALLED = 1, 2, 3, 4


class Bounds(NamedTuple):
    """What the loss is held against, and how it went since the start of the scale.

    A restart after a fault is a start as well. The ceiling is the loss of plain grey,
    or of the first image if that is more: a good image is below.
    """

    ceiling: Scalar
    tolerance: Scalar  # the share by which the loss has to fall in a window
    window: Int[Array, ""]  # steps
    before: Scalar  # the lowest loss of the window before; infinite in the first
    lowest: Scalar  # that of this window
    taken: Int[Array, ""]  # steps since the start
    above: Int[Array, ""]  # of them the last ones above the ceiling
    stuck: Int[Array, ""]  # line searches without success up to here
    at: Int[Array, ""]  # the step of the last good image
    restarts: Int[Array, ""]  # how many faults this start comes after


class Verdict(NamedTuple):
    """What a step came to."""

    is_good: Bool[Array, ""]  # the image that it started from
    fault: Int[Array, ""]
    is_settled: Bool[Array, ""]
    bounds: Bounds


def bounds(
    step: Any, grey: Any = jnp.inf, tolerance: float = 0.0, window: int = 1
) -> Bounds:
    """The bounds at a start.

    Args:
        step: the one that it starts from.
        grey: the loss of plain grey; infinite: only NaN and infinity are out of bounds.
        tolerance: as in `Bounds`.
        window: as in `Bounds`.
    """

    # Arrays of their own each, because a chunk takes their memory over.
    def number(value: Any) -> Array:
        return jnp.array(value, jnp.float32)

    def count(value: Any) -> Array:
        return jnp.array(value, jnp.int32)

    return Bounds(
        ceiling=jnp.where(jnp.isfinite(number(grey)), number(grey), jnp.inf),
        tolerance=number(tolerance),
        window=count(window),
        before=number(jnp.inf),
        lowest=number(jnp.inf),
        taken=count(0),
        above=count(0),
        stuck=count(0),
        at=count(step),
        restarts=count(0),
    )


def restarted(old: Bounds) -> Bounds:
    """The same bounds at a new start, from the last good image."""
    fresh = bounds(old.at)
    return fresh._replace(
        ceiling=old.ceiling,
        tolerance=old.tolerance,
        window=old.window,
        restarts=jnp.array(old.restarts + 1, jnp.int32),
    )


def is_at_rest(bounds: Bounds) -> bool:
    """Whether a line search that has stalled did so soon after it had before.

    Then it stands at the lowest point that float32 can tell from its surroundings.
    """
    return int(bounds.restarts) > 0 and int(bounds.taken) <= _SOON


def fault(value: float, bounds: Bounds, opt_state: Any) -> int:
    """What is wrong with the loss of an image: nothing if it is the first."""
    if not math.isfinite(value):
        return BROKEN
    if _may_leap(opt_state):
        return 0
    has_exploded = int(bounds.taken) and value > _EXPLOSION * float(bounds.ceiling)
    return EXPLODED if has_exploded else 0


def judge(
    old: Bounds,
    step: Int[Array, ""],
    value: Scalar,
    grad_norm: Scalar,
    image: Image,
    opt_state: Any,
) -> Verdict:
    """What is to be said of a step.

    Args:
        old: the bounds before it.
        step: how many there were before it.
        value: the loss at the image that it started from.
        grad_norm: the norm of the gradient there.
        image: the one that it led to.
        opt_state: the optimiser's state after it.
    """
    is_first = (old.taken == 0) & jnp.isfinite(value)
    ceiling = jnp.where(is_first, jnp.maximum(old.ceiling, value), old.ceiling)
    is_finite = jnp.isfinite(value) & jnp.isfinite(grad_norm)
    is_good = is_finite & (value <= ceiling)
    above = jnp.where(is_good, 0, old.above + 1)
    stuck = jnp.where(_missed(opt_state, value), old.stuck + 1, 0)
    # Not even the steepest descent that a start begins with finds a lower loss.
    is_lowest = (stuck >= _STALL) & (old.taken + 1 == stuck)
    found = jnp.where((stuck >= _STALL) & ~is_lowest, STALLED, 0)
    found = jnp.where(above >= _PATIENCE, RISEN, found)
    # Neither holds for what is not a number.
    is_near = (jnp.abs(image) < _FARTHEST).all() & (value <= _EXPLOSION * ceiling)
    found = jnp.where(is_near | _may_leap(opt_state), found, EXPLODED)
    found = jnp.where(is_finite & jnp.isfinite(image).all(), found, BROKEN)
    after, has_settled = _watched(old, value)
    after = after._replace(
        ceiling=ceiling,
        above=above,
        stuck=stuck,
        at=jnp.where(is_good, step, old.at),
    )
    return Verdict(is_good, found, (has_settled | is_lowest) & (found == 0), after)


def _watched(old: Bounds, value: Scalar) -> tuple[Bounds, Bool[Array, ""]]:
    """The bounds one step on, and whether a window ended in which little happened."""
    lowest = jnp.minimum(old.lowest, value)
    taken = old.taken + 1
    is_full = taken % old.window == 0
    fall = old.before - lowest
    # In the first window it fell from infinity.
    is_little = jnp.isfinite(old.before) & (old.tolerance > 0)
    is_little &= fall <= old.tolerance * jnp.abs(old.before)
    after = old._replace(
        before=jnp.where(is_full, lowest, old.before),
        lowest=jnp.where(is_full, jnp.inf, lowest),
        taken=taken,
    )
    return after, is_full & is_little


def _may_leap(opt_state: Any) -> bool:
    """Whether the optimiser is L-BFGS without a search.

    Its first steps may lead to losses a billion times too large, from which it comes
    back in a few steps, wiser: so published pictures were made. `_PATIENCE` is for it.
    """
    return len(_named(opt_state, ("moves", "turns"))) == 2


def _missed(opt_state: Any, value: Scalar) -> Bool[Array, ""]:
    """Whether a line search gave up without a lower loss; never without a search."""
    found = _named(opt_state, ("decrease_error", "curvature_error", "value"))
    if len(found) < 3:
        return jnp.bool_(False)
    gave_up = (found["decrease_error"] > 0) | (found["curvature_error"] > 0)
    return gave_up & ~(found["value"] < value)


def _named(opt_state: Any, names: tuple[str, ...]) -> dict[str, Array]:
    """The leaves that are fields of these names."""
    found = jax.tree_util.tree_leaves_with_path(opt_state)
    pairs = [(getattr(path[-1], "name", ""), leaf) for path, leaf in found if path]
    return {name: leaf for name, leaf in pairs if name in names}


def after_restart(fresh: Any, old: Any) -> Any:
    """A fresh optimiser's state in which schedules of the rate go on."""

    def is_schedule(part: Any) -> bool:
        # optax's own type for them has a count and nothing else.
        return isinstance(part, tuple) and getattr(part, "_fields", ()) == ("count",)

    return jax.tree.map(
        lambda new, former: former if is_schedule(former) else new,
        fresh,
        old,
        is_leaf=is_schedule,
    )
