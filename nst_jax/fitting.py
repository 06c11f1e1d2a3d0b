"""The windows that fit into so much room and recompute least."""

import itertools
import math
from collections.abc import Iterator

from nst_jax import footprint, layers, tiles
from nst_jax.footprint import Network, Shape

# Into how many windows a stage may be cut along each axis.
_COUNTS = (*range(1, 13), 14, 16, 20, 24, 32, 48)
# Pools at which a plan may be cut into stages.
_POOLS = ("pool1", "pool2", "pool3", "pool4")
# How many strips make the first layers small beside the others.
_STRIPS = 8


def least_work(used: Network, content: Shape, room: int) -> tiles.Plan:
    """The plan that recomputes least in so much room; else the one that needs least."""
    found = [*_candidates(used, content, room)]
    fitting = [
        each for each in found if footprint.stepping(used, each, content) <= room
    ]
    if fitting:
        return min(fitting, key=lambda each: footprint.work(used, each, content))
    return min(found, key=lambda each: footprint.stepping(used, each, content))


def squares(used: Network, shape: Shape, room: int) -> tiles.Plan:
    """The largest alike windows that fit where nothing is differentiated."""
    found: tiles.Plan = ()
    for count in _COUNTS:
        found = _bare(footprint.cut(used, shape, (("", (count, count)),)))
        if footprint.looking(used, found, shape) <= room:
            break
    return found


def of_side(used: Network, shape: Shape, side: int) -> tiles.Plan:
    """Windows that each own at most so many rows and columns, and a little more."""
    rows = used.shares.rows or shape[0]
    counts = -(-rows // side), -(-shape[1] // side)
    return _bare(footprint.cut(used, shape, (("", counts),)))


def strips(used: Network, shape: Shape) -> tiles.Plan:
    """The first two blocks in strips, whose maps are the largest; the others whole."""
    names = {row.name for row in used.up_to()[:-1]}
    after = next((pool for pool in ("pool2", "pool1") if pool in names), None)
    first = ("", (_STRIPS, 1))
    cuts = (first, (after, (1, 1))) if after else (first,)
    return _bare(footprint.cut(used, shape, cuts))


def _bare(chosen: tiles.Plan) -> tiles.Plan:
    """The plan, or nothing where each stage is whole."""
    return () if all(stage.number == 1 for stage in chosen) else chosen


def _candidates(used: Network, content: Shape, room: int) -> Iterator[tiles.Plan]:
    """Plans of every set of stages, each stage in windows that recompute least."""
    inner = [row.name for row in used.up_to() if row.name in _POOLS]
    inner = inner[:-1] if used.up_to()[-1].name in inner else inner
    for size in range(len(inner) + 1):
        for pools in itertools.combinations(inner, size):
            afters = ("", *pools)
            stages = footprint.cut(
                used, content, tuple((each, (1, 1)) for each in afters)
            )
            for place, stage in enumerate(stages):
                if place == len(stages) - 1 and not used.shares.rows:
                    yield stages  # the last one whole: nothing of it twice
                left = room - footprint.beside(used, stages, stage)
                smaller = _within(used, stage, left)
                stages = (*stages[:place], smaller, *stages[place + 1 :])
            yield stages


def _area(down: tiles.Axis, across: tiles.Axis, devices: int) -> int:
    """The positions that the busiest of the devices goes through."""
    number = -(-down.number * across.number // devices)
    return number * down.window * across.window


def _within(used: Network, stage: tiles.Stage, room: int) -> tiles.Stage:
    """The stage in the windows that recompute least in so much room."""
    names = (stage.until,) if stage.until else used.names
    unit, halo = tiles.grain(stage.network, stage.after, names)
    shares, wrap = used.shares, used.forward.wrap
    stride = layers.stride((stage.after,), stage.network) if stage.after else 1
    length, width = stage.rows.length, stage.columns.length
    counts = _COUNTS if shares.devices == 1 else sorted({*_COUNTS, shares.devices})
    downs = [
        tiles.shared(length, count, unit, halo, shares.devices, shares.of(stride))
        if shares.rows
        else tiles.axis(length, count, unit, halo, wraps="y" in wrap)
        for count in counts
    ]
    acrosses = [
        tiles.axis(width, count, unit, halo, wraps="x" in wrap) for count in counts
    ]
    # About so many pixels of a window fit.
    whole = footprint.in_window(used, stage) / math.prod(stage.window)
    most = 1.2 * room / whole
    choices = sorted(
        (_area(down, across, shares.devices), index, down, across)
        for index, (down, across) in enumerate(itertools.product(downs, acrosses))
        if down.window * across.window <= most
    )
    for _, _, down, across in choices:
        smaller = tiles.divided(stage, down, across, used.forward.wrap)
        if footprint.in_window(used, smaller) <= room:
            return smaller
    return tiles.divided(stage, downs[-1], acrosses[-1], used.forward.wrap)
