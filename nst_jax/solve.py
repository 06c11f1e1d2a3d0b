"""The loop: chunks of steps on the device, control between them.

A chunk is one `while_loop` whose length is an argument, so that one executable
serves every length and nothing is fetched inside. It ends early when the loss
or its gradient stops being finite; the last image that had a finite loss
travels along. The objective and the optimiser are arguments.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Int

from nst_jax.arrays import Image, LossTerms, Scalar
from nst_jax.optimizers import Optimizer

# (problem, image) -> terms; the problem is a pytree that `solve` hands through.
ObjectiveFn = Callable[[Any, Image], LossTerms]


class State(NamedTuple):
    """What one step hands to the next."""

    image: Image
    opt_state: Any
    step: Int[Array, ""]
    good: Image  # the last image whose loss was finite


class Info(NamedTuple):
    """What the last step of a chunk saw, at the image it started from."""

    value: Scalar
    grad_norm: Scalar
    is_finite: Bool[Array, ""]


class Progress(NamedTuple):
    """Where a run stands between two chunks.

    `image` is on the device and valid until the next one is asked for.
    """

    step: int
    image: Image | np.ndarray
    value: float  # the total: at this image if `terms` is there, else one step ago
    terms: LossTerms | None
    is_finite: bool


class Solver(NamedTuple):
    """The compiled pieces of a loop; each compiles once for each image shape."""

    init: Callable[[Image], State]
    chunk: jax.stages.Wrapped  # (problem, state, last step) -> (State, Info)
    terms: Callable[[Any, Image], LossTerms]


def make(objective: ObjectiveFn, optimizer: Optimizer) -> Solver:
    """The solver of an objective: the one place where anything is jitted."""

    def init(image: Image) -> State:
        # Copies, because a chunk takes its state's buffers over; the type is named,
        # because a weak one would compile the chunk twice.
        first, good = (jnp.array(image, image.dtype, copy=True) for _ in range(2))
        return State(first, optimizer.init(first), jnp.int32(0), good)

    def chunk(problem: Any, state: State, last: Int[Array, ""]) -> tuple[State, Info]:
        def loss(image: Image) -> Scalar:
            return objective(problem, image).total

        def goes_on(carry: tuple[State, Info]) -> Bool[Array, ""]:
            state, info = carry
            return (state.step < last) & info.is_finite

        def advance(carry: tuple[State, Info]) -> tuple[State, Info]:
            state, _ = carry
            new = optimizer.step(loss, state.image, state.opt_state)
            fine = jnp.isfinite(new.value) & jnp.isfinite(new.grad_norm)
            good = jnp.where(fine, state.image, state.good)
            step = state.step + fine.astype(jnp.int32)
            return (
                State(new.image, new.opt_state, step, good),
                Info(new.value, new.grad_norm, fine),
            )

        return lax.while_loop(goes_on, advance, (state, _unknown()))

    return Solver(init, jax.jit(chunk, donate_argnums=1), jax.jit(objective))


def _unknown() -> Info:
    return Info(jnp.float32(0), jnp.float32(0), jnp.bool_(True))


def run(
    solver: Solver,
    problem: Any,
    image: Image,
    *,
    steps: int,
    log_every: int,
    pace: Callable[[int], int],
) -> Iterator[Progress]:
    """Yields the start, then the state after each chunk, the last step included.

    `pace(step)` says how many steps the next chunk may take. Chunks also end
    where a row of the log is due, and there the terms are computed. A run whose
    loss stops being finite yields the last good image once more and ends.
    """
    state, info = solver.init(image), _unknown()
    step, row = 0, 0
    while True:
        # The terms are computed where a row of the log is due, and at the end.
        terms = solver.terms(problem, state.image) if step == row else None
        value = float(terms.total) if terms else float(info.value)
        if not (math.isfinite(value) and info.is_finite):
            yield Progress(max(step - 1, 0), state.good, value, terms, False)
            return
        yield Progress(step, state.image, value, terms, True)
        if step == steps:
            return
        row = min(steps, (step // log_every + 1) * log_every)
        last = min(row, step + max(1, pace(step)))
        state, info = solver.chunk(problem, state, jnp.int32(last))
        step = int(state.step)
