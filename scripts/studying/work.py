"""The runs: a trial from where it stopped to its last mark.

One loop is compiled for each optimiser, objective and shape: a learning rate is part
of the optimiser's state and not of what is compiled.
"""

import functools
import math
import platform
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax import (
    devices,
    inputs,
    job,
    noise,
    objective,
    optimizers,
    prepare,
    pretrained,
    solve,
    transfer,
)
from nst_jax import progress as lines
from nst_jax.arrays import Image, LossTerms, Weights
from nst_jax.config import Config, NetworkConfig
from nst_jax.pictures import Pictures
from studying import grids
from studying.grids import Trial
from studying.store import Found

_ROWS_A_DECADE = 20


class Ready(NamedTuple):
    """A trial that can start: its settings, pictures, objective and loop."""

    config: Config
    pictures: Pictures
    problem: objective.Problem
    in_chunk: objective.Problem  # the same, as the chunk takes it
    solver: solve.Solver
    state: solve.State


def ready(trial: Trial, base: Config, device: jax.Device) -> Ready:
    """The trial before its first step.

    `base` are the study's settings, resolved for the device.
    """
    config = job.resolve(grids.settings(base, trial.changes), device)
    pictures, how, problem, first = _made(config)
    # What is compiled is kept there, and serves all rates.
    solver = transfer.solver(how, config.optimizer, "last", 0.0)
    if trial.is_unlike:
        problem = _balanced(problem, solver.terms, first, config, base)
    state = solver.init(first)
    moves = optimizers.at_rate(state.opt_state, config.optimizer)
    state = state._replace(opt_state=moves)
    in_chunk = prepare.ready(problem, how, math.prod(first.shape[:2]))
    return Ready(config, pictures, problem, in_chunk, solver, state)


def run(
    now: Ready, found: Found, marks: tuple[int, ...], stopped: Callable[[], int]
) -> Iterator[Found]:
    """Yields how far it has come at each row of the curves.

    It ends at the last mark, at a fault, or where somebody wants to stop.
    """
    passed = [mark for mark in marks if mark < found.step and mark not in found.images]
    if passed or not _fits(found, now.state):
        found = Found()  # a look was missed, or another version wrote it
    state = _restored(now.state, found)
    started = time.perf_counter()
    state, info = now.solver.chunk(now.in_chunk, state, jnp.int32(0))
    terms = jax.block_until_ready(now.solver.terms(now.problem, state.image))
    compiling = found.compile_seconds + time.perf_counter() - started
    clock = _clock(found)
    if not found.rows:
        found = found._replace(rows=((0.0, *clock, *_numbers(terms)),))
    found = found._replace(compile_seconds=compiling, made=_made_with())
    while not found.is_done(marks) and not stopped():
        goal = _next_row(found.step, marks)
        state, info, spent = _chunks(now, state, goal, stopped)
        clock = (clock[0] + spent[0], clock[1] + spent[1])
        found = _looked_at(now, found, state, bool(info.is_finite), clock, marks)
        yield found


def _made_with() -> dict[str, str]:
    """What the times depend on."""
    packages = {name: metadata.version(name) for name in ("jax", "jaxlib", "optax")}
    device = devices.describe(devices.current())
    return {"device": device, "python": platform.python_version(), **packages}


def _chunks(
    now: Ready, state: solve.State, goal: int, stopped: Callable[[], int]
) -> tuple[solve.State, solve.Info, tuple[float, float]]:
    """Steps up to a goal, and their seconds alone: by the wall and by the cores."""
    pace = lines.pace(lambda step: goal - step)
    wall, cores = time.perf_counter(), time.process_time()
    while True:
        step = int(state.step)
        last = jnp.int32(min(goal, step + max(1, pace(step))))
        state, info = now.solver.chunk(now.in_chunk, state, last)
        if not info.is_finite or int(state.step) >= goal or stopped():
            jax.block_until_ready(state)
            spent = time.perf_counter() - wall, time.process_time() - cores
            return state, info, spent


def _looked_at(
    now: Ready,
    found: Found,
    state: solve.State,
    is_finite: bool,
    clock: tuple[float, float],
    marks: tuple[int, ...],
) -> Found:
    """What is known after some steps more."""
    step = int(state.step)
    terms = now.solver.terms(now.problem, state.image)
    is_good = is_finite and math.isfinite(float(terms.total))
    rows, images = found.rows, found.images
    if is_good:
        rows = (*rows, (float(step), *clock, *_numbers(terms)))
    if step in marks or not is_good:
        image = state.image if is_good else state.good
        images = {**images, step: _finished(now, state._replace(image=image))}
    return found._replace(
        step=step,
        rows=rows,
        images=images,
        leaves=tuple(np.asarray(leaf) for leaf in jax.tree.leaves(state)),
        fault="" if is_good else f"the loss stopped being finite after step {step}",
    )


def _finished(now: Ready, state: solve.State) -> np.ndarray:
    progress = solve.Progress(int(state.step), state, 0.0, None, True)
    return transfer.finish(progress, now.pictures, now.config).image


def _fits(found: Found, start: solve.State) -> bool:
    """Whether one can go on from there."""
    shapes = [np.shape(leaf) for leaf in found.leaves]
    return not shapes or shapes == [leaf.shape for leaf in jax.tree.leaves(start)]


def _restored(start: solve.State, found: Found) -> solve.State:
    """The state where the trial stopped, or its start."""
    if not found.leaves:
        return start
    leaves = [jnp.array(leaf, leaf.dtype) for leaf in found.leaves]
    state: solve.State = jax.tree.unflatten(jax.tree.structure(start), leaves)
    return state


def _clock(found: Found) -> tuple[float, float]:
    """Seconds so far, by the wall and by the cores."""
    return (found.rows[-1][1], found.rows[-1][2]) if found.rows else (0.0, 0.0)


def _numbers(terms: LossTerms) -> tuple[float, ...]:
    """Total, content, style and total variation."""
    content, style = sum(terms.content.values()), sum(terms.style.values())
    return tuple(float(each) for each in (terms.total, content, style, terms.tv))


def _next_row(step: int, marks: tuple[int, ...]) -> int:
    """The next step that is measured: evenly spaced on a logarithmic axis."""
    after = max(step + 1, round(step * 10 ** (1 / _ROWS_A_DECADE)))
    return min([after, *(mark for mark in marks if mark > step)])


def _made(
    config: Config,
) -> tuple[Pictures, objective.Recipe, objective.Problem, Image]:
    """The pictures of a trial with their colours, and what it makes of them."""
    pictures = inputs.read(config).final
    seen = prepare.coloured(pictures, config.control)
    loaded = weights(config.network, config.inputs.seed)
    how, problem = prepare.problem(seen, loaded, config)
    return pictures, how, problem, noise.first_image(seen, problem, config)


@functools.lru_cache(maxsize=4)
def weights(settings: NetworkConfig, seed: int) -> Weights:
    """The network's numbers, fetched once."""
    return pretrained.load(
        settings.network,
        settings.weights,
        source=settings.weights_source,
        offline=settings.offline,
        announce=lines.warn,
        quiet=False,
        seed=seed,
    )


def _balanced(
    problem: objective.Problem,
    terms: solve.ObjectiveFn,
    first: Image,
    config: Config,
    base: Config,
) -> objective.Problem:
    """The problem with weights that make its terms as large as the study's.

    The content's at a grey picture, for at the first image it may be zero; the
    style's at the first image.
    """
    _, how, usual, start = _made(base)
    goals = _sizes(jax.jit(functools.partial(objective.terms, how)), usual, start)
    more = config.objective.style_weight / (base.objective.style_weight or 1.0)
    content, style = _sizes(terms, problem, first)
    factors = _ratio(goals[0], content), _ratio(more * goals[1], style)
    old = problem.weights
    return problem._replace(
        weights=LossTerms(
            {name: factors[0] * weight for name, weight in old.content.items()},
            {name: factors[1] * weight for name, weight in old.style.items()},
            old.tv,
        )
    )


def _sizes(
    terms: solve.ObjectiveFn, problem: objective.Problem, first: Image
) -> tuple[float, float]:
    """The content's term at a grey picture, the style's at the first image."""
    grey = terms(problem, jnp.full_like(first, 0.5))
    return _numbers(grey)[1], _numbers(terms(problem, first))[2]


def _ratio(goal: float, size: float) -> float:
    return goal / size if size > 0 and goal > 0 else 1.0
