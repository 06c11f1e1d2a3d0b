"""Where windows lie, and what of arrays lies there."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from nst_jax.tiles import Axis, Stage

# Features at positions: of a window, or of the whole. Each layer has its own.
Maps = Float[Array, "_h _w _c"]


class Tile(NamedTuple):
    """Where a window lies and what it owns, in positions of what its stage is given."""

    top: Int[Array, "*n"]
    left: Int[Array, "*n"]
    rows: Int[Array, "*n 2"]
    columns: Int[Array, "*n 2"]


class Place(NamedTuple):
    """A window's place, for those who look at its features."""

    stage: Stage
    tile: Tile

    def inside(self, features: Maps, name: str) -> Float[Array, "_h _w"]:
        """1 at the positions of a layer that the window owns, 0 at the others."""
        return self.owned(features, name).astype(features.dtype)

    def owned(self, features: Maps, name: str) -> Bool[Array, "_h _w"]:
        """The same as yes and no."""
        steps, (top, left, rows, columns) = self.stage.steps(name), self.tile
        down = top + steps * jnp.arange(features.shape[0])
        across = left + steps * jnp.arange(features.shape[1])
        within_rows = (down >= rows[0]) & (down < rows[1])
        within_columns = (across >= columns[0]) & (across < columns[1])
        return within_rows[:, None] & within_columns[None, :]

    def cut(self, whole: Array, features: Maps, name: str) -> Array:
        """What lies at the window's features, of an array for the whole layer."""
        steps, stage = self.stage.steps(name), self.stage
        rows = _taken(whole, 0, self.tile.top // steps, features.shape[0], stage.rows)
        return _taken(
            rows, 1, self.tile.left // steps, features.shape[1], stage.columns
        )


def tiles_of(stage: Stage, devices: int = 1) -> Tile:
    """All windows of a stage, row by row, to scan over; as many for each device.

    Those that fill up own nothing.
    """
    rows, columns = stage.rows, stage.columns
    down, across = np.indices((rows.number, columns.number)).reshape(2, -1)
    owns = [np.stack([each.edges[:-1], each.edges[1:]], 1) for each in (rows, columns)]
    found = (
        np.asarray(rows.starts)[down],
        np.asarray(columns.starts)[across],
        owns[0][down],
        owns[1][across],
    )
    lacking = -stage.number % devices
    filled = (np.concatenate([e, np.zeros((lacking, *e.shape[1:]))]) for e in found)
    return Tile(*(jnp.asarray(each, jnp.int32) for each in filled))


def corner(place: Place) -> tuple[Any, Any]:
    """Where a window starts, in what is laid round by the margins."""
    stage, tile = place
    return tile.top + stage.rows.margin, tile.left + stage.columns.margin


def window(laid: Maps, place: Place) -> Maps:
    """What lies in a window, of what is laid round by the margins."""
    size = (*place.stage.window, laid.shape[2])
    return lax.dynamic_slice(laid, (*corner(place), 0), size)


def whole(made: Any, stage: Stage, name: str) -> jax.ShapeDtypeStruct:
    """The shape of a layer over the whole and its margins, from a window's."""
    shape = [
        side + (axis.length + 2 * axis.margin - axis.window) // stage.steps(name)
        for side, axis in zip(made.shape, (stage.rows, stage.columns), strict=False)
    ]
    return jax.ShapeDtypeStruct((*shape, made.shape[2]), made.dtype)


def put(joined: Maps, made: Maps, place: Place, name: str) -> Maps:
    """The whole layer with what a window owns laid in."""
    there = lax.dynamic_slice(joined, _at(place, name), made.shape)
    owned = place.owned(made, name)[:, :, None]
    laid = jnp.where(owned, made, there)
    return lax.dynamic_update_slice(joined, laid, _at(place, name))


def got(whole: Maps, made: Maps, place: Place, name: str) -> Maps:
    """What a window owns of the whole layer; elsewhere zero."""
    there = lax.dynamic_slice(whole, _at(place, name), made.shape)
    return jnp.where(place.owned(made, name)[:, :, None], there, 0)


def _at(place: Place, name: str) -> tuple[Any, Any, int]:
    """Where a window's features start in those of the whole and its margins."""
    steps = place.stage.steps(name)
    top, left = corner(place)
    return top // steps, left // steps, 0


def bare(joined: Maps, stage: Stage, name: str) -> Maps:
    """A layer without its margins."""
    steps = stage.steps(name)
    top, left = stage.rows.margin // steps, stage.columns.margin // steps
    return joined[top : joined.shape[0] - top, left : joined.shape[1] - left]


def _taken(whole: Array, dimension: int, start: Any, count: int, axis: Axis) -> Array:
    if axis.margin:
        index = (start + jnp.arange(count)) % whole.shape[dimension]
        return jnp.take(whole, index, dimension)
    return lax.dynamic_slice_in_dim(whole, start, count, dimension)
