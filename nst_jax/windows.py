"""Sums over a picture that is looked at window by window, and their gradient.

The gradient is taken window by window too, each computed a second time: a stage keeps
what it is given, and nothing of what lies inside it. That is what `jax.checkpoint` does
around the body of a scan; written out, nothing is stacked up over the windows.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from nst_jax import vgg
from nst_jax.arrays import FeatureMaps, Features, Image
from nst_jax.tiles import Axis, Plan, Stage

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


# Sums over what a window owns, and its part of layers that are to be joined.
Found = tuple[Any, FeatureMaps]
# (arrays, window, its place, or None where it is the whole)
Look = Callable[[Any, Maps, Place | None], Found]


# (arrays, features by layer, place or None for the whole) -> sums over positions
Gather = Callable[[Any, FeatureMaps, Place | None], dict[str, Any]]


def walk(
    given: Any,
    image: Image,
    names: tuple[str, ...],
    forward: vgg.Forward,
    plan: Plan,
    gather: Gather,
    joined: tuple[str, ...] = (),
) -> tuple[dict[str, Any], FeatureMaps]:
    """What is gathered at the layers of a picture, and some of the layers whole.

    Args:
        given: params, preprocessing, and what else `gather` needs.
        image: the picture.
        names: the layers that are looked at.
        forward: how the network is run.
        plan: in which windows; empty for the whole at once.
        gather: what is summed up over positions; static.
        joined: the layers that are wanted whole.
    """
    if not plan:
        found = vgg.features(given[0], given[1], image, names, forward)
        return gather(given, found, None), {name: found[name] for name in joined}
    sums: dict[str, Any] = {}
    wholes: FeatureMaps = {}
    features = image
    for stage in plan:
        look = functools.partial(_look, stage, names, forward, gather, joined)
        more, made = summed(stage, look, given, features)
        features = made.get(stage.until, features)
        sums, wholes = sums | more, wholes | made
    return sums, {name: wholes[name] for name in joined}


def _look(
    stage: Stage,
    names: tuple[str, ...],
    forward: vgg.Forward,
    gather: Gather,
    joined: tuple[str, ...],
    given: Any,
    window: Features,
    place: Place | None,
) -> Found:
    """What is gathered of a window, and what its stage hands on."""
    used = tuple(name for name in stage.layers if name in (*names, stage.until))
    forward = forward._replace(wrap=stage.wrap)
    found = vgg.features(given[0], given[1], window, used, forward, stage.after)
    seen = {name: each for name, each in found.items() if name in names}
    handed_on = {name: found[name] for name in used if name in (*joined, stage.until)}
    return gather(given, seen, place), handed_on


def summed(stage: Stage, look: Look, given: Any, features: Maps) -> Found:
    """The sums over all windows, and the layers that they make, joined.

    Args:
        stage: where the windows lie.
        look: what is done with each; static.
        given: arrays that this needs; they have no gradient.
        features: what the stage is given, whole.
    """
    if stage.number == 1:
        return look(given, features, None)
    widths = [(axis.margin, axis.margin) for axis in (stage.rows, stage.columns)]
    if any(map(any, widths)):
        features = jnp.pad(features, [*widths, (0, 0)], "wrap")
    sums, joined = _summed(stage, look, given, features)
    return sums, {name: _bare(each, stage, name) for name, each in joined.items()}


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _summed(stage: Stage, look: Look, given: Any, laid: Maps) -> Found:
    """The same of features that are laid round by the margins."""
    tiles = _tiles(stage)

    def seen(tile: Tile) -> Found:
        place = Place(stage, tile)
        return look(given, _window(laid, place), place)

    def add(carry: Found, tile: Tile) -> tuple[Found, None]:
        place = Place(stage, tile)
        (sums, joined), (found, made) = carry, seen(tile)
        after = {n: _put(joined[n], each, place, n) for n, each in made.items()}
        return (jax.tree.map(jnp.add, sums, found), after), None

    sums, made = jax.eval_shape(seen, jax.tree.map(lambda each: each[0], tiles))
    wholes = {name: _whole(each, stage, name) for name, each in made.items()}
    zeros = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), (sums, wholes))
    found, _ = lax.scan(add, zeros, tiles)
    return found


def _forward(
    stage: Stage, look: Look, given: Any, laid: Any
) -> tuple[Found, tuple[Any, Maps]]:
    def value(leaf: Any) -> Any:
        if leaf.perturbed:
            raise TypeError("window by window there is a gradient by the picture only")
        return leaf.value

    arrays = jax.tree.map(value, given, is_leaf=lambda leaf: hasattr(leaf, "perturbed"))
    return _summed(stage, look, arrays, laid.value), (arrays, laid.value)


def _backward(
    stage: Stage, look: Look, kept: tuple[Any, Maps], slopes: Any
) -> tuple[None, Maps]:
    given, laid = kept
    of_sums, of_joined = jax.tree.map(_filled, slopes, is_leaf=_is_zero)

    def back(slope: Maps, tile: Tile) -> tuple[Maps, None]:
        place = Place(stage, tile)

        def seen(window: Maps) -> Found:
            return look(given, window, place)

        (_, made), undo = jax.vjp(seen, _window(laid, place))
        of_made = {n: _got(of_joined[n], each, place, n) for n, each in made.items()}
        (share,) = undo((of_sums, of_made))
        at = (*_corner(place), 0)
        there = lax.dynamic_slice(slope, at, share.shape)
        return lax.dynamic_update_slice(slope, there + share, at), None

    slope, _ = lax.scan(back, jnp.zeros_like(laid), _tiles(stage))
    return None, slope


_summed.defvjp(_forward, _backward, symbolic_zeros=True)


def _is_zero(leaf: Any) -> bool:
    return isinstance(leaf, jax.custom_derivatives.SymbolicZero)


def _filled(leaf: Any) -> Any:
    return jnp.zeros(leaf.shape, leaf.dtype) if _is_zero(leaf) else leaf


def _tiles(stage: Stage) -> Tile:
    """All windows of a stage, row by row, to scan over."""
    rows, columns = stage.rows, stage.columns
    down, across = np.indices((rows.number, columns.number)).reshape(2, -1)
    owns = [np.stack([each.edges[:-1], each.edges[1:]], 1) for each in (rows, columns)]
    found = (
        np.asarray(rows.starts)[down],
        np.asarray(columns.starts)[across],
        owns[0][down],
        owns[1][across],
    )
    return Tile(*(jnp.asarray(each, jnp.int32) for each in found))


def _corner(place: Place) -> tuple[Any, Any]:
    """Where a window starts, in what is laid round by the margins."""
    stage, tile = place
    return tile.top + stage.rows.margin, tile.left + stage.columns.margin


def _window(laid: Maps, place: Place) -> Maps:
    size = (*place.stage.window, laid.shape[2])
    return lax.dynamic_slice(laid, (*_corner(place), 0), size)


def _whole(made: Any, stage: Stage, name: str) -> jax.ShapeDtypeStruct:
    """The shape of a layer over the whole and its margins, from a window's."""
    shape = [
        side + (axis.length + 2 * axis.margin - axis.window) // stage.steps(name)
        for side, axis in zip(made.shape, (stage.rows, stage.columns), strict=False)
    ]
    return jax.ShapeDtypeStruct((*shape, made.shape[2]), made.dtype)


def _put(joined: Maps, made: Maps, place: Place, name: str) -> Maps:
    """The whole layer with what a window owns laid in."""
    there = lax.dynamic_slice(joined, _at(place, name), made.shape)
    owned = place.owned(made, name)[:, :, None]
    laid = jnp.where(owned, made, there)
    return lax.dynamic_update_slice(joined, laid, _at(place, name))


def _got(whole: Maps, made: Maps, place: Place, name: str) -> Maps:
    """What a window owns of the whole layer; elsewhere zero."""
    there = lax.dynamic_slice(whole, _at(place, name), made.shape)
    return jnp.where(place.owned(made, name)[:, :, None], there, 0)


def _at(place: Place, name: str) -> tuple[Any, Any, int]:
    """Where a window's features start in those of the whole and its margins."""
    steps = place.stage.steps(name)
    top, left = _corner(place)
    return top // steps, left // steps, 0


def _bare(joined: Maps, stage: Stage, name: str) -> Maps:
    """A layer without its margins."""
    steps = stage.steps(name)
    top, left = stage.rows.margin // steps, stage.columns.margin // steps
    return joined[top : joined.shape[0] - top, left : joined.shape[1] - left]


def _taken(whole: Array, dimension: int, start: Any, count: int, axis: Axis) -> Array:
    if axis.margin:
        index = (start + jnp.arange(count)) % whole.shape[dimension]
        return jnp.take(whole, index, dimension)
    return lax.dynamic_slice_in_dim(whole, start, count, dimension)
