"""The plan of what is looked at window by window: static integers.

A plan is a sequence of stages, each some of the network's layers in a row, and each
with windows of its own: what a stage is given is cut into windows of one shape, and of
what it makes each window owns a part. An empty plan is the whole picture at once.

That sums over windows are those over the whole rests on two things. A window reaches
beyond what it owns by all that its layers look at. And it starts at a multiple of their
pools, and is as long as the picture modulo that: so at the borders, where windows are
pushed inside, the zeros beyond and the pools' rounding are those of the whole.
"""

import functools
from typing import NamedTuple

from nst_jax import layers
from nst_jax.convolution import Rounding, Wrap

Shape = tuple[int, int]


class Axis(NamedTuple):
    """How one axis of what a stage is given is divided, in its positions."""

    length: int
    window: int  # positions of each window
    margin: int  # how far beyond its ends it is laid again, where windows go round
    starts: tuple[int, ...]  # of the windows; negative where they go round
    edges: tuple[int, ...]  # window k owns edges[k] up to edges[k + 1]

    @property
    def number(self) -> int:
        """How many windows there are."""
        return len(self.starts)


class Stage(NamedTuple):
    """Some of the network's layers, and the windows they are computed in."""

    network: layers.Network
    after: str  # the layer whose features it is given; "" for the image
    until: str  # the layer whose features it hands on; "" for the last stage
    wrap: Wrap  # where a window itself goes round
    rows: Axis
    columns: Axis

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of those that are computed in it, as far as they are used."""
        rows = layers.up_to((self.until,), self.network, self.after)
        rows = rows or layers.up_to(("pool5",), self.network, self.after)
        return tuple(row.name for row in rows)

    def steps(self, name: str) -> int:
        """How many positions that it is given make one of a layer."""
        strides = _strides(self.network)
        return strides[name] // strides.get(self.after, 1)

    @property
    def window(self) -> Shape:
        """Rows and columns of a window."""
        return self.rows.window, self.columns.window

    @property
    def number(self) -> int:
        """How many windows there are."""
        return self.rows.number * self.columns.number


class Shares(NamedTuple):
    """Among how many devices a picture is shared out."""

    devices: int = 1
    rows: int = 0  # of the picture that each holds, in a row; 0: each holds all

    def of(self, stride: int) -> int:
        """How many rows each holds of a layer of this stride."""
        return self.rows // stride


ALONE = Shares()
Plan = tuple[Stage, ...]
# The layer that a stage comes after, "" for the first, and how many windows it has
# downwards and across.
Cut = tuple[str, Shape]


def plan(
    shape: Shape,
    names: tuple[str, ...],
    network: layers.Network,
    cuts: tuple[Cut, ...],
    rounding: Rounding = "floor",
    wrap: Wrap = "none",
    shares: Shares = ALONE,
) -> Plan:
    """The stages of a picture, each with its windows.

    Args:
        shape: rows and columns of the picture.
        names: the layers that are looked at.
        network: whose layers they are.
        cuts: the stages. Each has fewer windows where they would be whole.
        rounding: that of the pools.
        wrap: along which axes the picture goes on at its other side.
        shares: where devices hold rows of their own, the windows downwards are those
            of one device.
    """
    stages = []
    ends = [*(after for after, _ in cuts[1:]), ""]
    for (after, counts), until in zip(cuts, ends, strict=True):
        last = (until,) if until else names
        unit, halo = grain(network, after, last)
        stride = layers.stride((after,), network) if after else 1
        height, width = (positions(side, stride, rounding) for side in shape)
        down = (
            shared(height, counts[0], unit, halo, shares.devices, shares.of(stride))
            if shares.rows
            else axis(height, counts[0], unit, halo, wraps="y" in wrap)
        )
        across = axis(width, counts[1], unit, halo, wraps="x" in wrap)
        whole = _whole(wrap, down, across)
        stages.append(Stage(network, after, until, whole, down, across))
    return tuple(stages)


def divided(stage: Stage, down: Axis, across: Axis, wrap: Wrap) -> Stage:
    """The stage in other windows, of a picture that goes on along these axes."""
    return stage._replace(wrap=_whole(wrap, down, across), rows=down, columns=across)


def axis(length: int, count: int, unit: int, halo: int, *, wraps: bool) -> Axis:
    """An axis in at most `count` windows, of the least length.

    Args:
        length: positions that there are.
        count: of windows.
        unit: of how many positions windows start at multiples.
        halo: how far beyond what it owns a window reaches; a multiple of the unit.
        wraps: whether the axis goes on at its other end.

    >>> axis(333, 2, 16, 80, wraps=False)
    Axis(length=333, window=253, margin=0, starts=(0, 80), edges=(0, 160, 333))
    """
    whole = Axis(length, length, 0, (0,), (0, length))
    if wraps:
        own = _up(-(-length // count), unit)
        owns = range(0, length, own)
        starts = tuple(min(first, length - own) - halo for first in owns)
        if len(owns) == 1:
            return whole
        return Axis(length, own + 2 * halo, halo, starts, (*owns, length))
    odd = length % unit
    even = length - odd
    window = _up(-(-(even + 2 * halo * (count - 1)) // count), unit)
    if window >= even or even <= 2 * halo:
        return whole
    step = window - 2 * halo
    steps = range(0, even - 2 * halo, step)
    starts = tuple(min(first, even - window) for first in steps)
    edges = (0, *(first + halo for first in steps[1:]), length)
    return Axis(length, window + odd, 0, starts, edges)


def shared(
    length: int, count: int, unit: int, halo: int, devices: int, share: int
) -> Axis:
    """An axis of which each device has a share of its own, in `count` windows.

    Those beyond the end own nothing.

    Args:
        length: positions that there are.
        count: of windows of each device.
        unit: of how many positions windows start at multiples.
        halo: how far beyond what it owns a window reaches; a multiple of the unit.
        devices: how many there are.
        share: positions of each; a multiple of the unit.

    >>> shared(50, 1, 4, 8, devices=2, share=28)
    Axis(length=50, window=46, margin=0, starts=(0, 4), edges=(0, 28, 50))
    """
    own = _up(-(-share // count), unit)
    window = min(own + 2 * halo + length % unit, length)
    lows = [
        min(device * share + min(index * own, share), length)
        for device in range(devices)
        for index in range(count)
    ]
    starts = tuple(max(0, min(low - halo, length - window)) for low in lows)
    return Axis(length, window, 0, starts, (*lows, length))


def share(length: int, devices: int, unit: int) -> int:
    """How many of its positions each of several devices has, in whole units.

    >>> share(50, 2, 4)
    28
    """
    return _up(-(-length // devices), unit)


def grain(
    network: layers.Network, after: str, names: tuple[str, ...]
) -> tuple[int, int]:
    """Of what windows start at multiples, and how far beyond its own one reaches.

    In positions of the layer `after`, for the layers behind it up to `names`.

    >>> grain("vgg19", "", ("relu5_1",)), grain("vgg19", "pool2", ("relu5_1",))
    ((16, 80), (4, 16))
    """
    rows = layers.table(network)
    first = next((row for row in rows if row.name == after), None)
    stride, reach = (first.stride, first.reach) if first else (1, 0)
    last = layers.up_to(names, network)[-1]
    unit = last.stride // stride
    return unit, _up((last.reach - reach) // stride, unit)


def positions(pixels: int, stride: int, rounding: Rounding) -> int:
    """How many positions of a layer there are along so many pixels."""
    return pixels // stride if rounding == "floor" else -(-pixels // stride)


@functools.cache
def _strides(network: layers.Network) -> dict[str, int]:
    return {row.name: row.stride for row in layers.table(network)}


def _whole(wrap: Wrap, down: Axis, across: Axis) -> Wrap:
    """Along which axes of those that wrap a window is the whole."""
    names = "".join(
        name
        for name, axis in (("x", across), ("y", down))
        if name in wrap and axis.number == 1
    )
    found: dict[str, Wrap] = {"": "none", "x": "x", "y": "y", "xy": "xy"}
    return found[names]


def _up(number: int, unit: int) -> int:
    """The number, or the next multiple of the unit."""
    return -(-number // unit) * unit
