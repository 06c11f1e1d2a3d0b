"""How a picture and what belongs to it lie on several devices.

Each device holds the whole, or rows of its own: then the picture lies on a canvas,
which has as many rows for each device, and idle ones beyond the picture's last. What a
device looks at beyond its own rows its neighbours send it.
"""

import contextlib
import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Int

from nst_jax.tiles import Axis, Shares

# The mesh has one axis: devices stand one below the other.
AXIS = "rows"


class Layout(NamedTuple):
    """The devices, and what of a picture each of them holds; without arrays."""

    mesh: Mesh
    rows: int  # of the picture
    share: int = 0  # rows that each holds; 0: each holds all

    @property
    def shares(self) -> Shares:
        """The same as plain numbers."""
        return Shares(self.mesh.size, self.share)

    @property
    def lengthwise(self) -> PartitionSpec:
        """How what lies along the picture's rows is divided."""
        return PartitionSpec(AXIS) if self.share else PartitionSpec()


def of(devices: tuple[jax.Device, ...], rows: int, share: int = 0) -> Layout:
    """The layout on these devices."""
    return Layout(Mesh(np.array(devices), (AXIS,)), rows, share)


def replicated(layout: Layout | None, tree: Any) -> Any:
    """Arrays of which each device holds a copy."""
    if layout is None:
        return tree
    sharding = NamedSharding(layout.mesh, PartitionSpec())
    return jax.tree.map(lambda leaf: _placed(leaf, sharding, np.shape(leaf)), tree)


def laid(layout: Layout | None, picture: Any, stride: int = 1) -> Array:
    """What lies along the rows of the picture, or of a layer, on its devices.

    On a canvas, if they share it: its further rows are zero.
    """
    if layout is None:
        return jnp.asarray(picture)
    if not layout.share:
        return _placed(picture, NamedSharding(layout.mesh, PartitionSpec()))
    rows = layout.mesh.size * (layout.share // stride)
    sharding = NamedSharding(layout.mesh, layout.lengthwise)
    return _placed(picture, sharding, (rows, *np.shape(picture)[1:]))


def _placed(
    array: Any, sharding: NamedSharding, shape: tuple[int, ...] | None = None
) -> Array:
    """The array where it is to be, filled up with zeros; each device gets its part."""
    host = np.asarray(array)

    def part(index: tuple[slice, ...] | None) -> np.ndarray:
        index = index or ()
        found = host[index]
        wanted = [len(range(*s.indices(n))) for s, n in zip(index, goal, strict=True)]
        lacking = [(0, w - f) for w, f in zip(wanted, found.shape, strict=True)]
        return np.pad(found, lacking) if any(map(any, lacking)) else found

    goal = shape or host.shape
    return jax.make_array_from_callback(goal, sharding, part)


def bare(layout: Layout | None, array: Any) -> Any:
    """An array of a state as it is without the layout: on the host, if there is one."""
    if layout is None:
        return array
    if array.is_fully_replicated or array.is_fully_addressable:
        whole = np.asarray(array)
    else:
        whole = _gathered(layout, array)
    if not _is_canvas(layout, array):
        return whole
    return whole[..., : layout.rows, :, :]


def _gathered(layout: Layout, array: Array) -> np.ndarray:
    """An array of which other processes hold parts; one part after the other."""
    axis = array.ndim - 3
    parts = [
        np.asarray(_sent(array, layout, axis, jnp.int32(device)))
        for device in range(layout.mesh.size)
    ]
    return np.concatenate(parts, axis)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _sent(array: Array, layout: Layout, axis: int, device: Array) -> Array:
    """The part of one device, on all of them."""

    def part(block: Array, device: Array) -> Array:
        mine = lax.axis_index(AXIS) == device
        return lax.psum(jnp.where(mine, block, 0), AXIS)

    return spread(layout, part, (_canvas(axis), PartitionSpec()), PartitionSpec())(
        array, device
    )


@contextlib.contextmanager
def aside(layout: Layout | None) -> Iterator[None]:
    """A block whose new arrays lie on a CPU, where no device is to hold the whole."""
    found: list[jax.Device] = []
    if layout and layout.share:
        with contextlib.suppress(RuntimeError):  # JAX may have been told to have none
            found = jax.local_devices(backend="cpu")
    with jax.default_device(found[0]) if found else contextlib.nullcontext():
        yield


def settled(layout: Layout | None, tree: Any) -> Any:
    """The arrays of a state on their devices, images on the canvas if there is one."""
    if layout is None:
        return tree
    there = set(layout.mesh.devices.flat)

    def put(leaf: Any) -> Any:
        if isinstance(leaf, jax.Array) and leaf.sharding.device_set == there:
            return leaf
        shape = np.shape(leaf)
        if not (layout.share and len(shape) >= 3 and shape[-3::2] == (layout.rows, 3)):
            return replicated(layout, leaf)
        rows = layout.mesh.size * layout.share
        sharding = NamedSharding(layout.mesh, _canvas(len(shape) - 3))
        return _placed(leaf, sharding, (*shape[:-3], rows, *shape[-2:]))

    return jax.tree.map(put, tree)


def made(layout: Layout | None, make: Callable[..., Any], *given: Any) -> Any:
    """What `make` makes of settled arrays, settled too."""
    if layout is None:
        return make(*given)
    found = jax.eval_shape(make, *given)
    goal = jax.tree.map(lambda leaf: _sharding(layout, leaf), found)
    return jax.jit(make, out_shardings=goal)(*given)


def held(layout: Layout | None, tree: Any) -> Any:
    """The arrays of a state, of which the compiler is told where they are."""
    if layout is None:
        return tree
    goal = jax.tree.map(lambda leaf: _sharding(layout, leaf), tree)
    return lax.with_sharding_constraint(tree, goal)


def _sharding(layout: Layout, leaf: Any) -> NamedSharding:
    """Where an array of a state is."""
    is_canvas = _is_canvas(layout, leaf)
    spec = _canvas(leaf.ndim - 3) if is_canvas else PartitionSpec()
    return NamedSharding(layout.mesh, spec)


def _canvas(axis: int) -> PartitionSpec:
    """How images are divided whose rows are this axis."""
    return PartitionSpec(*[None] * axis, AXIS)


def _is_canvas(layout: Layout, leaf: Any) -> bool:
    """Whether it is an image, or several, on the canvas."""
    rows = layout.mesh.size * layout.share
    return bool(rows) and leaf.ndim >= 3 and leaf.shape[-3::2] == (rows, 3)


def spread(
    layout: Layout, body: Callable[..., Any], given: Any, found: Any
) -> Callable[..., Any]:
    """The function on every device at once.

    It is never differentiated: JAX was seen to take the gradient of a sum over devices
    for one of each.
    """
    return jax.shard_map(
        body, mesh=layout.mesh, in_specs=given, out_specs=found, check_vma=False
    )


class Strip(NamedTuple):
    """The rows of what a stage is given that its windows look at, by device."""

    share: int  # rows that each holds
    length: int  # rows that each looks at
    firsts: tuple[int, ...]  # of them, by device

    @property
    def above(self) -> int:
        """How many of them lie above its own, at most."""
        starts = enumerate(self.firsts)
        return max(0, *(d * self.share - first for d, first in starts))

    @property
    def below(self) -> int:
        """How many of them lie below its own, at most."""
        ends = enumerate(first + self.length for first in self.firsts)
        return max(0, *(end - (d + 1) * self.share for d, end in ends))


def strip(rows: Axis, shares: Shares, stride: int) -> Strip:
    """What each device looks at, of rows that are shared out so."""
    share, count = shares.of(stride), rows.number // shares.devices
    starts = [rows.starts[d * count : (d + 1) * count] for d in range(shares.devices)]
    length = max(each[-1] + rows.window - each[0] for each in starts)
    firsts = [min(each[0], rows.length - length) for each in starts]
    # Where nothing is owned, any rows will do: those at hand.
    idle = [d * share >= rows.length for d in range(shares.devices)]
    above = max(d * share - firsts[d] for d in range(shares.devices) if not idle[d])
    return Strip(
        share,
        length,
        tuple(
            d * share - above if idle[d] else first for d, first in enumerate(firsts)
        ),
    )


def exchanged(block: Array, found: Strip) -> Array:
    """The strip of a device, of its own rows and what its neighbours send.

    Linear, so that its transpose sends the slopes back.
    """
    above = [*reversed(_from(block, found, found.above, 1))]
    below = _from(block, found, found.below, -1)
    around = jnp.concatenate([*above, block, *below])
    start = first(found) - (lax.axis_index(AXIS) * found.share - found.above)
    return lax.dynamic_slice_in_dim(around, start, found.length)


def _from(block: Array, found: Strip, count: int, way: int) -> list[Array]:
    """So many rows of the devices above (way 1) or below (-1), the nearest first."""
    devices, parts = len(found.firsts), []
    for hop in range(1, math.ceil(count / found.share) + 1):
        rows = min(found.share, count - (hop - 1) * found.share)
        part = block[found.share - rows :] if way == 1 else block[:rows]
        pairs = [
            (device, device + way * hop)
            for device in range(devices)
            if 0 <= device + way * hop < devices
        ]
        parts.append(lax.ppermute(part, AXIS, pairs))
    return parts


def first(found: Strip) -> Int[Array, ""]:
    """The first row of this device's strip."""
    return jnp.asarray(found.firsts, jnp.int32)[lax.axis_index(AXIS)]


def embedded(block: Array, found: Strip, steps: int, rows: int) -> Array:
    """A device's own rows of a layer where they lie in its strip, zeros around.

    Args:
        block: the rows, of which `steps` of the strip's make one.
        found: the strip.
        steps: those.
        rows: of the layer in the strip.
    """
    own = len(block)
    bed = jnp.zeros((rows + own, *block.shape[1:]), block.dtype)
    return lax.dynamic_update_slice_in_dim(bed, block, _own(found, steps), 0)[:rows]


def cut(whole: Array, found: Strip, steps: int) -> Array:
    """A device's own rows of a layer in its strip; zeros beyond."""
    own = found.share // steps
    longer = jnp.pad(whole, [(0, own), *[(0, 0)] * (whole.ndim - 1)])
    return lax.dynamic_slice_in_dim(longer, _own(found, steps), own)


def _own(found: Strip, steps: int) -> Int[Array, ""]:
    """Where in its strip a device's own rows of a layer begin."""
    return (lax.axis_index(AXIS) * found.share - first(found)) // steps
