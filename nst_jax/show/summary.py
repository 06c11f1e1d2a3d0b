"""A network as a table: what each layer makes of a picture, and what it sees of it.

Plain Python on the table in `layers`: no weights are needed, and no JAX.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from nst_jax import layers
from nst_jax.show import tables

Shape = tuple[int, int]
# As pools say it: `same` is equal to `ceil` for these windows.
Rounding = Literal["floor", "ceil", "same"]

_HEADS = ("layer", "output", "parameters", "field", "stride", "MiB")


class Row(NamedTuple):
    """One layer at one size of the picture; lengths are in pixels of the picture."""

    layer: str
    height: int
    width: int
    channels: int
    parameters: int
    field: int  # how many pixels wide a position sees, borders aside
    stride: int  # between the centres of two positions
    bytes: int  # of the output in float32


def rows(
    network: layers.Network,
    shape: Shape,
    names: tuple[str, ...] = (),
    rounding: Rounding = "floor",
) -> list[Row]:
    """Every layer for a picture of that shape, up to the deepest of `names` if any.

    >>> rows("vgg19", (224, 224), ("pool5",))[-1]
    Row(layer='pool5', height=7, width=7, channels=512, parameters=0, field=268,
        stride=32, bytes=100352)
    """
    table = layers.up_to(names, network) if names else layers.table(network)
    return [_row(layer, shape, rounding) for layer in table]


def _row(layer: layers.Layer, shape: Shape, rounding: Rounding) -> Row:
    height, width = (_pooled(side, layer.stride, rounding) for side in shape)
    weights = (9 * layer.inputs + 1) * layer.channels if layer.kind == "conv" else 0
    return Row(
        layer=layer.name,
        height=height,
        width=width,
        channels=layer.channels,
        parameters=weights,
        field=layer.stride + 2 * layer.reach,
        stride=layer.stride,
        bytes=4 * height * width * layer.channels,
    )


def _pooled(side: int, stride: int, rounding: Rounding) -> int:
    """Positions along a side; halving again and again rounds as dividing once does."""
    return side // stride if rounding == "floor" else math.ceil(side / stride)


def text(table: Sequence[Row]) -> str:
    """The rows as a person reads them, with their totals."""
    parameters = sum(row.parameters for row in table)
    memory = sum(row.bytes for row in table) / 2**20
    total = f"{parameters:,} parameters, {memory:,.1f} MiB of features in float32"
    return tables.text(_HEADS, [_cells(row) for row in table], total)


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.layer,
        f"{row.height} x {row.width} x {row.channels}",
        f"{row.parameters:,}" if row.parameters else "",
        str(row.field),
        str(row.stride),
        f"{row.bytes / 2**20:.1f}",
    )
