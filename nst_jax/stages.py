"""From one scale to the next, and from one run to the one that goes on from it."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax import guard, leaves, noise, objective, optimizers, pyramid, solve
from nst_jax.config import Config
from nst_jax.pictures import Pictures

Shape = tuple[int, int]


class Start(NamedTuple):
    """Where an earlier run stood, for one that goes on from there."""

    place: solve.Place
    shape: Shape
    arrays: Mapping[str, np.ndarray]  # of its state, by `leaves.named`
    is_settled: bool = False  # so the scale is done with


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


def stood(start: Start, loop: solve.Solver) -> solve.Progress:
    """Where the earlier run stood, with its state on the device."""
    image = jax.ShapeDtypeStruct((*start.shape, 3), jnp.float32)
    state = leaves.restored(jax.eval_shape(loop.init, image), start.arrays)
    return solve.Progress(int(state.step), state, math.nan, None, True)


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
    if before is None:
        state = loop.init(noise.first_image(here, problem, config))
    else:
        image, shape = before.image, here.content.shape[:2]
        old = image.shape[0], image.shape[1]
        carried = pyramid.carry_state(before.state.opt_state, old, shape, wrap)
        enlarged = pyramid.carry(image, shape, settings.scale_filter, wrap)
        if optimizers.box(config.optimizer) == "step":
            enlarged = jnp.clip(enlarged, 0, 1)
        state = loop.init(enlarged, carried, place.first)
    moves = optimizers.at_rate(state.opt_state, config.optimizer)
    moves = moves._replace(rate=moves.rate * 0.5**place.halvings)
    grey = loop.terms(problem, jnp.full_like(state.image, 0.5)).total
    limits = guard.bounds(
        place.first, grey, settings.tolerance, settings.tolerance_steps
    )
    return state._replace(opt_state=moves, bounds=limits)
