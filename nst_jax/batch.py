"""Several jobs of one shape in one program, each as it would be alone.

They share the network; pictures, targets, weights, rates and bounds are each one's
own. One that has a fault ends there, and is to be done alone, where it can go back.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool

from nst_jax import (
    devices,
    guard,
    memory,
    objective,
    optimizers,
    prepare,
    solve,
    stages,
    transfer,
)
from nst_jax.arrays import Weights
from nst_jax.config import Config, OptimizerConfig
from nst_jax.kept import Keep
from nst_jax.pictures import Pictures

Shape = tuple[int, int]

# Of each array of a problem: shared, or one for each job.
_AXES: Any = (None, None, 0, 0, 0)


# Pixels of all pictures together up to which an accelerator has room beside one.
_ROOM, _MOST = 512 * 512, 16


def usual(device: jax.Device, content: Shape) -> int:
    """How many jobs of that shape are done together where nobody says.

    On CPUs one: see docs/jobs.md. On others nobody has measured it.
    """
    if device.platform == "cpu":
        return 1
    return max(1, min(_MOST, _ROOM // math.prod(content)))


class Member(NamedTuple):
    """A job: its pictures at the size of the result, and its settings, resolved."""

    pictures: Pictures
    config: Config


# Of each job whether something holds.
Flags = Bool[np.ndarray, "n"]


class _Made(NamedTuple):
    """A job before its first step."""

    how: objective.Recipe
    problem: objective.Problem
    state: solve.State


def can_join(config: Config) -> bool:
    """Whether the steps of such a job can be taken together with others'.

    A line search would go on for as long as that of the slowest.
    """
    moves = config.optimizer
    searches = moves.optimizer == "lbfgs" and moves.line_search == "zoom"
    return not searches and config.spread.is_one() and not config.solve.max_seconds


def most(content: Shape, styles: Sequence[Shape], config: Config) -> int:
    """How many such jobs fit into memory together; 1 where each is in windows."""
    forward = prepare.forward(config)
    if memory.plan(content, config, forward):
        return 1
    need = memory.need(content, styles, config, forward)
    each = need.features + need.optimizer + need.pictures
    return max(1, (memory.limit(config) - need.program - need.network) // each)


def run(
    members: Sequence[Member],
    weights: Weights,
    *,
    pace: Callable[[int], int],
    sees: Callable[[int], None],
    stopped: Callable[[], int],
) -> list[solve.Progress | None]:
    """Where each job stands at its end; None: it is to be done alone.

    Args:
        members: the jobs, of one shape and with equal numbers of steps.
        weights: the network that they share.
        pace: as that of `solve.run`.
        sees: told the step at each pause.
        stopped: whether to end at the next one.
    """
    made = [_made(member, weights) for member in members]
    kinds = [(each.how, jax.tree.structure(each[1:])) for each in made]
    if made[0].how.plan or any(kind != kinds[0] for kind in kinds):
        return [None] * len(members)
    state, is_well, has_settled = _stepped(made, members[0], pace, sees, stopped)
    ended = [jax.tree.map(lambda leaf, n=n: leaf[n], state) for n in range(len(made))]
    return [
        _judged(member, each, end, bool(settled)) if well else None
        for member, each, end, well, settled in zip(
            members, made, ended, is_well, has_settled, strict=True
        )
    ]


def _made(member: Member, weights: Weights) -> _Made:
    """A job before its first step, as `transfer.steps` makes it."""
    config = member.config
    here = prepare.coloured(member.pictures, config.control)
    how, problem = transfer.balanced_problem(here, weights, config)
    loop = transfer.loop_of(how, config)
    state = stages.first(loop, here, problem, None, solve.Place(), config)
    return _Made(how, problem, state)


def _stepped(
    made: Sequence[_Made],
    member: Member,
    pace: Callable[[int], int],
    sees: Callable[[int], None],
    stopped: Callable[[], int],
) -> tuple[solve.State, Flags, Flags]:
    """The states at their ends, stacked; which have no fault, and which had settled."""
    how, settings = made[0].how, member.config.solve
    moves, count = optimizers.compiled(member.config.optimizer), len(made)
    shape = member.pictures.content.shape[:2]
    transfer.make_room((how, moves, shape, count))
    chunk = _chunk(how, moves, settings.keep, settings.average_decay, devices.thrift())
    ready = prepare.ready(made[0].problem, how, math.prod(shape))
    own = _stacked([each.problem[2:] for each in made])
    problem = objective.Problem(*ready[:2], *own)
    state = _stacked([each.state for each in made])
    is_well, has_settled, step = np.ones(count, bool), np.zeros(count, bool), 0
    while step < settings.steps and not stopped():
        goes_on = is_well & ~has_settled
        if not goes_on.any():
            break
        step = min(settings.steps, step + pace(step))
        last = np.where(goes_on, step, np.asarray(state.step)).astype(np.int32)
        state, info = chunk(problem, state, last)
        is_well &= ~goes_on | np.asarray(info.is_finite)
        has_settled |= goes_on & np.asarray(info.is_settled)
        sees(step)
    return state, is_well, has_settled


@functools.lru_cache(maxsize=16)
def _chunk(
    how: objective.Recipe,
    settings: OptimizerConfig,
    keep: Keep,
    decay: float,
    options: tuple[tuple[str, str], ...],
) -> jax.stages.Wrapped:
    """The compiled chunk of several jobs: (problem, states, last steps)."""
    loop = transfer.solver(how, settings, keep, decay)
    bare = jax.vmap(loop.bare, in_axes=(objective.Problem(*_AXES), 0, 0))
    return jax.jit(bare, donate_argnums=1, compiler_options=dict(options))


def _stacked(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _judged(
    member: Member, made: _Made, state: solve.State, has_settled: bool
) -> solve.Progress | None:
    """Where a job stands at its end, with its terms there; None if they are a fault."""
    loop = transfer.loop_of(made.how, member.config)
    terms = jax.device_get(loop.terms(made.problem, state.image))
    value, bounds = float(terms.total), state.bounds
    if bounds is None or guard.fault(value, bounds, state.opt_state):
        return None
    halt: solve.Halt = "settled" if has_settled else ""
    return solve.Progress(int(state.step), state, value, terms, True, halt=halt)
