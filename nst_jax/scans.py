"""Sums over windows and their slopes: of all on one device, or of each device's share.

A device that holds copies goes through its share of the windows. One that holds rows of
its own does the same with a strip of the picture, its rows and what its neighbours
send, as if the strip were all there is.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import PartitionSpec

from nst_jax import layers, mesh, places
from nst_jax.arrays import FeatureMaps
from nst_jax.mesh import Layout
from nst_jax.places import Maps, Place, Tile
from nst_jax.tiles import Stage

# Sums over what a window owns, and its part of layers that are to be joined.
Found = tuple[Any, FeatureMaps]
# (arrays, window, its place, or None where it is the whole)
Look = Callable[[Any, Maps, Place | None], Found]
# Which of the arrays given lie along the picture's rows: a prefix of their tree, true
# for dictionaries of maps by layer.
Lies = Any


def summed(stage: Stage, look: Look, given: Any, laid: Maps, tiles: Tile) -> Found:
    """The sums over some windows, and the layers that they make, joined."""

    def seen(tile: Tile) -> Found:
        place = Place(stage, tile)
        return look(given, places.window(laid, place), place)

    def add(carry: Found, tile: Tile) -> tuple[Found, None]:
        place = Place(stage, tile)
        (sums, joined), (found, made) = carry, seen(tile)
        after = {n: places.put(joined[n], each, place, n) for n, each in made.items()}
        return (jax.tree.map(jnp.add, sums, found), after), None

    sums, made = jax.eval_shape(seen, jax.tree.map(lambda each: each[0], tiles))
    wholes = {name: places.whole(each, stage, name) for name, each in made.items()}
    zeros = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), (sums, wholes))
    found, _ = lax.scan(add, zeros, tiles)
    return found


def slope(
    stage: Stage, look: Look, given: Any, laid: Maps, slopes: Found, tiles: Tile
) -> Maps:
    """The gradient by the features, from some windows, each computed once more."""
    of_sums, of_joined = slopes

    def back(slope: Maps, tile: Tile) -> tuple[Maps, None]:
        place = Place(stage, tile)

        def seen(window: Maps) -> Found:
            return look(given, window, place)

        (_, made), undo = jax.vjp(seen, places.window(laid, place))
        of_made = {
            n: places.got(of_joined[n], each, place, n) for n, each in made.items()
        }
        (share,) = undo((of_sums, of_made))
        at = (*places.corner(place), 0)
        there = lax.dynamic_slice(slope, at, share.shape)
        return lax.dynamic_update_slice(slope, there + share, at), None

    slope, _ = lax.scan(back, jnp.zeros_like(laid), tiles)
    return slope


def summed_on_devices(
    stage: Stage, look: Look, layout: Layout, lies: Lies, given: Any, laid: Maps
) -> Found:
    """The sums over the windows of all devices, and the layers joined, on them."""
    tiles = places.tiles_of(stage, layout.shares.devices)
    if layout.share:
        strip = mesh.strip(stage.rows, layout.shares, _stride(stage))
        body: Any = functools.partial(_summed_in_strip, stage, look, lies, strip)
    else:
        body = functools.partial(_summed_in_share, stage, look)
    along = layout.lengthwise
    specs = (_specs(lies, layout), along, PartitionSpec(mesh.AXIS))
    found = (PartitionSpec(), along)
    return mesh.spread(layout, body, specs, found)(given, laid, tiles)


def _summed_in_share(
    stage: Stage, look: Look, given: Any, laid: Maps, tiles: Tile
) -> Found:
    """The sums over the windows of all devices, from this one's."""
    return lax.psum(summed(stage, look, given, laid, tiles), mesh.AXIS)


def _summed_in_strip(
    stage: Stage,
    look: Look,
    lies: Lies,
    strip: mesh.Strip,
    given: Any,
    block: Maps,
    tiles: Tile,
) -> Found:
    """The same, and the rows of the joined layers that are this device's own."""
    here, given, tiles = _in_strip(stage, lies, strip, given, tiles)
    sums, joined = summed(here, look, given, mesh.exchanged(block, strip), tiles)
    own = {n: mesh.cut(each, strip, stage.steps(n)) for n, each in joined.items()}
    return lax.psum(sums, mesh.AXIS), own


def slope_on_devices(
    stage: Stage,
    look: Look,
    layout: Layout,
    lies: Lies,
    given: Any,
    laid: Maps,
    slopes: Found,
) -> Maps:
    """The gradient by the features, from the windows of all devices."""
    tiles = places.tiles_of(stage, layout.shares.devices)
    if layout.share:
        strip = mesh.strip(stage.rows, layout.shares, _stride(stage))
        body: Any = functools.partial(_slope_in_strip, stage, look, lies, strip)
    else:
        body = functools.partial(_slope_in_share, stage, look)
    along = layout.lengthwise
    of_slopes = (PartitionSpec(), along)
    specs = (_specs(lies, layout), along, of_slopes, PartitionSpec(mesh.AXIS))
    return mesh.spread(layout, body, specs, along)(given, laid, slopes, tiles)


def _slope_in_share(
    stage: Stage, look: Look, given: Any, laid: Maps, slopes: Found, tiles: Tile
) -> Maps:
    """The gradient by the features, from this device's windows and all others'."""
    return lax.psum(slope(stage, look, given, laid, slopes, tiles), mesh.AXIS)


def _slope_in_strip(
    stage: Stage,
    look: Look,
    lies: Lies,
    strip: mesh.Strip,
    given: Any,
    block: Maps,
    slopes: Found,
    tiles: Tile,
) -> Maps:
    """The gradient by this device's own rows."""
    here, given, tiles = _in_strip(stage, lies, strip, given, tiles)
    of_sums, of_joined = slopes
    laid, undo = jax.vjp(lambda each: mesh.exchanged(each, strip), block)
    slopes = of_sums, _embedded(stage, strip, of_joined)
    (own,) = undo(slope(here, look, given, laid, slopes, tiles))
    return own


def _in_strip(
    stage: Stage, lies: Lies, strip: mesh.Strip, given: Any, tiles: Tile
) -> tuple[Stage, Any, Tile]:
    """The stage, what it needs and its windows, as if the strip were all there is."""

    def embedded(lies: bool, part: Any) -> Any:
        return _embedded(stage, strip, part) if lies else part

    first = mesh.first(strip)
    here = stage._replace(rows=stage.rows._replace(length=strip.length))
    moved = tiles._replace(top=tiles.top - first, rows=tiles.rows - first)
    return here, jax.tree.map(embedded, lies, given), moved


def _embedded(stage: Stage, strip: mesh.Strip, maps: dict[str, Maps]) -> Any:
    """Maps of this device's own rows where they lie in its strip.

    Those of layers that are not the stage's nobody looks at.
    """
    steps = {name: stage.steps(name) for name in maps if name in stage.layers}
    rows = {name: -(-strip.length // each) for name, each in steps.items()}
    return {
        name: mesh.embedded(each, strip, steps[name], rows[name])
        for name, each in maps.items()
        if name in steps
    }


def _specs(lies: Lies, layout: Layout) -> Any:
    """How the arrays that are given are shared out."""
    return jax.tree.map(
        lambda each: layout.lengthwise if each else PartitionSpec(), lies
    )


def _stride(stage: Stage) -> int:
    """How many of the picture's pixels make a position of what a stage is given."""
    return layers.stride((stage.after,), stage.network) if stage.after else 1
