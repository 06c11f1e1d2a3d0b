"""From one scale to the next, and from one run to the one that goes on from it."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax import (
    guard,
    leaves,
    mesh,
    noise,
    objective,
    optimizers,
    pyramid,
    solve,
)
from nst_jax.config import Config
from nst_jax.convolution import Wrap
from nst_jax.pictures import Pictures

Shape = tuple[int, int]


class Start(NamedTuple):
    """Where an earlier run stood, for one that goes on from there."""

    place: solve.Place
    shape: Shape
    arrays: Mapping[str, np.ndarray]  # of its state, by `leaves.named`
    is_settled: bool = False  # so the scale is done with
    is_afresh: bool = False  # its optimiser's state is of another kind


def is_news(now: solve.Progress) -> bool:
    """Whether it is more than the start of its scale."""
    has_moved = now.step > now.place.first
    return has_moved or bool(now.halt or now.recovery) or not now.is_finite


def mended(place: solve.Place, recovery: solve.Recovery | None) -> solve.Place:
    """The place after a recovery, if there was one."""
    if recovery is None:
        return place
    return place._replace(
        recoveries=place.recoveries + 1,
        halvings=place.halvings + (recovery.fault != guard.STALLED),
    )


def stood(
    start: Start, loop: solve.Solver, layout: mesh.Layout | None = None
) -> solve.Progress:
    """Where the earlier run stood, with its state on the host.

    `layout` is that of the picture, on which `placed` will lay it.
    """
    image = jax.ShapeDtypeStruct((*start.shape, 3), jnp.float32)
    like, arrays = jax.eval_shape(loop.init, image), start.arrays
    if start.is_afresh:
        inner = ".opt_state.inner"
        like = like._replace(opt_state=like.opt_state._replace(inner=None))
        arrays = {name: each for name, each in arrays.items() if inner not in name}
    state = leaves.restored(like, arrays)
    if start.is_afresh:
        with mesh.aside(layout):
            fresh = loop.init(jnp.asarray(state.image)).opt_state.inner
        moves = state.opt_state._replace(inner=fresh)
        state = state._replace(opt_state=moves)
    return solve.Progress(int(state.step), state, math.nan, None, True)


def placed(state: solve.State, layout: mesh.Layout | None) -> solve.State:
    """A state from the host on its device, or on several by their layout.

    On one a copy, as a chunk of steps takes its buffers over.
    """
    if layout is None:
        return jax.tree.map(jnp.array, state)
    return mesh.settled(layout, state)


def enlarged(now: solve.Progress, shape: Shape, config: Config) -> solve.Progress:
    """The same at the shape of the result, if it had no time for that scale."""
    if now.shape == shape:
        return now
    how = config.solve.scale_filter, config.control.wrap
    with mesh.aside(now.layout):
        image = pyramid.carry(jnp.asarray(now.image), shape, *how)
    state = now.state._replace(image=image, kept=None)
    return now._replace(state=state, terms=None, layout=None)


def first(
    loop: solve.Solver,
    here: Pictures,
    problem: objective.Problem,
    before: solve.Progress | None,
    place: solve.Place,
    config: Config,
) -> solve.State:
    """The state that a scale starts from, after the scale before if there was one."""
    settings, wrap = config.solve, config.control.wrap
    with mesh.aside(loop.layout):
        if before is None:
            # What is drawn here is not yet on several devices.
            seen = jax.device_get(problem.preprocessing) if loop.layout else None
            bare = problem._replace(preprocessing=seen) if seen else problem
            image, carried = noise.first_image(here, bare, config), None
        else:
            shape = here.content.shape[:2]
            image = pyramid.carry(
                jnp.asarray(before.image), shape, settings.scale_filter, wrap
            )
            carried = _carried(before, shape, wrap)
            if optimizers.box(config.optimizer) == "step":
                image = jnp.clip(image, 0, 1)
    state = loop.init(image, carried, place.first)
    moves = optimizers.at_rate(state.opt_state, config.optimizer)
    moves = moves._replace(rate=moves.rate * 0.5**place.halvings)
    grey = loop.terms(problem, jnp.full_like(state.image, 0.5)).total
    limits = guard.bounds(
        place.first, grey, settings.tolerance, settings.tolerance_steps
    )
    return mesh.settled(loop.layout, state._replace(opt_state=moves, bounds=limits))


def _carried(before: solve.Progress, shape: Shape, wrap: Wrap) -> Any:
    """The optimiser's state at a larger shape, or None where it starts afresh."""
    state = before.state
    rows, columns, _ = state.image.shape
    if not pyramid.is_carried(state.opt_state, (rows, columns)):
        return None  # so that none of a long history is fetched

    def bare(leaf: Any) -> jax.Array:
        return jnp.asarray(mesh.bare(before.layout, leaf))

    moves = jax.tree.map(bare, state.opt_state)
    return pyramid.carry_state(moves, before.shape, shape, wrap)
