"""What a plan costs: the bytes of features that it holds, and the work that it does.

The counts are of what XLA's buffer assignment was seen to keep on CPUs, when it orders
by memory (`devices.thrift`).
"""

import math
from typing import NamedTuple

from nst_jax import layers, tiles, vgg, winograd

Shape = tuple[int, int]

_FLOAT = 4
# Maps of one layer that a step holds at once, beside those that it keeps: the slopes
# before and after it, that of its statistic; and by Winograd's products what is laid
# round and what has come out.
_AT_ONCE, _AT_ONCE_BY_WINOGRAD = 3, 5
# The same where nothing is differentiated.
_AT_ONCE_FORWARD = 3


class Network(NamedTuple):
    """What of the settings the features depend on."""

    names: tuple[str, ...]  # layers that are looked at
    forward: vgg.Forward
    centred: tuple[str, ...] = ()  # layers whose features are kept about a mean too
    shares: tiles.Shares = tiles.ALONE

    def up_to(self, after: str = "", until: str = "") -> tuple[layers.Layer, ...]:
        """The layers behind `after`, up to `until` or the deepest in use."""
        names = (until,) if until else self.names
        return layers.up_to(names, self.forward.network, after)


def work(used: Network, chosen: tiles.Plan, shape: Shape) -> float:
    """The work of an evaluation in these windows, as a multiple of that without any.

    That of one device, where several share it.
    """
    stages = _stages(used, chosen, shape)
    alone = used._replace(shares=tiles.ALONE)
    whole = cut(alone, shape, tuple((each.after, (1, 1)) for each in stages))
    done = sum(
        _products(used, stage)
        * -(-stage.number // used.shares.devices)
        * (2 if stage.number == 1 else 3)
        for stage in stages
    )
    return done / sum(2 * _products(used, stage) for stage in whole)


def stepping(used: Network, chosen: tiles.Plan, shape: Shape) -> int:
    """The most bytes of features that a step holds."""
    if not used.names:
        return 0
    stages = _stages(used, chosen, shape)
    return max(in_window(used, each) + beside(used, stages, each) for each in stages)


def looking(used: Network, chosen: tiles.Plan, shape: Shape) -> int:
    """The most bytes of features where nothing is differentiated."""
    return _AT_ONCE_FORWARD * max(
        (
            _map(used, stage, row)
            for stage in _stages(used, chosen, shape)
            for row in used.up_to(stage.after, stage.until)
        ),
        default=0,
    )


def whole_maps(used: Network, shape: Shape, names: tuple[str, ...]) -> int:
    """Bytes of some layers' features over a whole picture, or rows of one."""
    alone = used._replace(shares=tiles.ALONE)
    (whole,) = _stages(alone, (), shape)
    return sum(_map(alone, whole, row) for row in used.up_to() if row.name in names)


def network_bytes(used: Network, chosen: tiles.Plan, shape: Shape) -> int:
    """The kernels, and once more where the loop takes them spread."""
    pixels = math.prod(chosen[0].window if chosen else shape)
    worth = (
        vgg.worth_spreading(used.names, used.forward.network, pixels)
        if used.forward.products == "winograd" and used.names
        else ()
    )
    rows = [row for row in layers.table(used.forward.network) if row.kind == "conv"]
    sizes = {row.name: _FLOAT * row.inputs * row.channels for row in rows}
    return 9 * sum(sizes.values()) + 36 * sum(sizes[name] for name in worth)


def cut(used: Network, shape: Shape, cuts: tuple[tiles.Cut, ...]) -> tiles.Plan:
    """The plan of a picture in these stages and windows."""
    how = used.forward
    return tiles.plan(
        *(shape, used.names, how.network, cuts, how.pool_rounding, how.wrap),
        shares=used.shares,
    )


def _stages(used: Network, chosen: tiles.Plan, shape: Shape) -> tiles.Plan:
    """The plan, or of an empty one its only stage."""
    return chosen or cut(used, shape, (("", (1, 1)),))


def _products(used: Network, stage: tiles.Stage) -> int:
    """The multiplications of the convolutions in one window of a stage."""
    return sum(
        9 * row.inputs * row.channels * _positions(used, stage, row)
        for row in used.up_to(stage.after, stage.until)
        if row.kind == "conv"
    )


def beside(used: Network, chosen: tiles.Plan, stage: tiles.Stage) -> int:
    """What is held while a stage is gone back through: what stages before were given.

    And its own, with the slopes of what it was given and of what it handed on.
    """
    held = 0
    for each in chosen:
        rows = used.up_to(each.after, each.until)
        if each.after:
            size = _FLOAT * rows[0].inputs * _rows(used, each) * each.columns.length
            held += 2 * size if each == stage else size
        if each == stage:
            return held + (_map(used, each, rows[-1], whole=True) if each.until else 0)
        if each.number == 1:
            held += sum(
                _map(used, each, row, whole=True) for row in rows if row.kind == "conv"
            )
    return held


def _rows(used: Network, stage: tiles.Stage) -> int:
    """How many rows of what a stage is given a device holds."""
    if not used.shares.rows:
        return stage.rows.length
    stride = layers.stride((stage.after,), stage.network) if stage.after else 1
    _, halo = tiles.grain(
        stage.network, stage.after, (stage.until,) if stage.until else used.names
    )
    return min(stage.rows.length, used.shares.of(stride) + 2 * halo)


def in_window(used: Network, stage: tiles.Stage) -> int:
    """The most bytes of features that one window of a stage holds."""
    kept, most = 0, 0
    for row in used.up_to(stage.after, stage.until):
        size = _map(used, stage, row)
        if row.kind == "conv":
            positions = _positions(used, stage, row)
            fast = used.forward.products == "winograd" and winograd.pays(
                positions, row.inputs
            )
            count = _AT_ONCE_BY_WINOGRAD if fast else _AT_ONCE
            wider = size * max(1, row.inputs / row.channels)
            kept += size
            most = max(most, kept + int(count * wider))
        elif row.kind == "pool" and used.forward.pooling == "max":
            kept += size
        if row.name in used.centred:
            kept += size
    return most


def _map(
    used: Network, stage: tiles.Stage, row: layers.Layer, *, whole: bool = False
) -> int:
    """Bytes of a layer's features, in a window or over the whole."""
    return _FLOAT * row.channels * _positions(used, stage, row, whole=whole)


def _positions(
    used: Network, stage: tiles.Stage, row: layers.Layer, *, whole: bool = False
) -> int:
    steps = stage.steps(row.name)
    rounding = used.forward.pool_rounding
    sides = (_rows(used, stage), stage.columns.length) if whole else stage.window
    return math.prod(tiles.positions(side, steps, rounding) for side in sides)
