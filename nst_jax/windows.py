"""Sums over a picture that is looked at window by window, and their gradient.

The gradient is taken window by window too, each computed a second time: a stage keeps
what it is given, and nothing of what lies inside it. That is what `jax.checkpoint` does
around the body of a scan; written out, nothing is stacked up over the windows.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from nst_jax import places, scans, vgg
from nst_jax.arrays import FeatureMaps, Features, Image
from nst_jax.mesh import Layout
from nst_jax.places import Maps
from nst_jax.places import Place as Place
from nst_jax.scans import Found, Lies, Look
from nst_jax.tiles import Plan, Stage

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
    *,
    layout: Layout | None = None,
    lies: Lies = False,
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
        layout: on which devices, each of which takes some of the windows.
        lies: which of `given` are shared out among them as the picture is.
    """
    if not plan:
        found = vgg.features(given[0], given[1], image, names, forward)
        return gather(given, found, None), {name: found[name] for name in joined}
    sums: dict[str, Any] = {}
    wholes: FeatureMaps = {}
    features = image
    for stage in plan:
        look = functools.partial(_look, stage, names, forward, gather, joined)
        more, made = summed(stage, look, given, features, layout, lies)
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


def summed(
    stage: Stage,
    look: Look,
    given: Any,
    features: Maps,
    layout: Layout | None = None,
    lies: Lies = False,
) -> Found:
    """The sums over all windows, and the layers that they make, joined.

    Args:
        stage: where the windows lie.
        look: what is done with each; static.
        given: arrays that this needs; they have no gradient.
        features: what the stage is given, whole.
        layout: as `walk` has it.
        lies: likewise.
    """
    if stage.number == 1:
        return look(given, features, None)
    widths = [(axis.margin, axis.margin) for axis in (stage.rows, stage.columns)]
    if any(map(any, widths)):
        features = jnp.pad(features, [*widths, (0, 0)], "wrap")
    sums, joined = _summed(stage, look, layout, lies, given, features)
    return sums, {name: places.bare(each, stage, name) for name, each in joined.items()}


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2, 3))
def _summed(
    stage: Stage,
    look: Look,
    layout: Layout | None,
    lies: Lies,
    given: Any,
    laid: Maps,
) -> Found:
    """The same of features that are laid round by the margins."""
    if layout is None:
        return scans.summed(stage, look, given, laid, places.tiles_of(stage))
    return scans.summed_on_devices(stage, look, layout, lies, given, laid)


def _forward(
    stage: Stage,
    look: Look,
    layout: Layout | None,
    lies: Lies,
    given: Any,
    laid: Any,
) -> tuple[Found, tuple[Any, Maps]]:
    def value(leaf: Any) -> Any:
        if leaf.perturbed:
            raise TypeError("window by window there is a gradient by the picture only")
        return leaf.value

    arrays = jax.tree.map(value, given, is_leaf=lambda leaf: hasattr(leaf, "perturbed"))
    found = _summed(stage, look, layout, lies, arrays, laid.value)
    return found, (arrays, laid.value)


def _backward(
    stage: Stage,
    look: Look,
    layout: Layout | None,
    lies: Lies,
    kept: tuple[Any, Maps],
    slopes: Any,
) -> tuple[None, Maps]:
    given, laid = kept
    slopes = jax.tree.map(_filled, slopes, is_leaf=_is_zero)
    if layout is None:
        tiles = places.tiles_of(stage)
        return None, scans.slope(stage, look, given, laid, slopes, tiles)
    return None, scans.slope_on_devices(stage, look, layout, lies, given, laid, slopes)


_summed.defvjp(_forward, _backward, symbolic_zeros=True)


def _is_zero(leaf: Any) -> bool:
    return isinstance(leaf, jax.custom_derivatives.SymbolicZero)


def _filled(leaf: Any) -> Any:
    return jnp.zeros(leaf.shape, leaf.dtype) if _is_zero(leaf) else leaf
