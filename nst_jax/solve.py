"""The loop: chunks of steps on the device, control between them.

A chunk is one `while_loop` whose length is an argument, so that one executable
serves every length and nothing is fetched inside. It ends early when the loss,
its gradient or the image stops being finite; the last image that had a finite
loss travels along. The objective and the optimiser are arguments.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Int

from nst_jax.arrays import Image, LossTerms, Scalar
from nst_jax.optimizers import Optimizer, Step

# (problem, image) -> terms; the problem is a pytree that `solve` hands through.
ObjectiveFn = Callable[[Any, Image], LossTerms]


Keep = Literal["last", "best", "average"]


class Average(NamedTuple):
    """A running mean of the images, biased towards zero by what it has not seen."""

    image: Image
    unseen: Scalar  # the share that is still missing


class Best(NamedTuple):
    """The image with the lowest loss so far."""

    image: Image
    value: Scalar


class State(NamedTuple):
    """What one step hands to the next."""

    image: Image
    opt_state: Any
    step: Int[Array, ""]  # updates so far
    good: Image  # the last image whose loss was finite
    kept: Average | Best | None = None  # what the result is made of, if not the image


class Info(NamedTuple):
    """What the last step of a chunk saw, at the image it started from."""

    value: Scalar
    grad_norm: Scalar
    is_finite: Bool[Array, ""]


class Progress(NamedTuple):
    """Where a run stands between two chunks.

    The state is on the device and valid until the next progress is asked for.
    After a divergence it is that of the last good image.
    """

    step: int
    state: State
    value: float  # the total, at this image if `terms` is there, else one step ago
    terms: LossTerms | None  # on the host
    is_finite: bool

    @property
    def image(self) -> Image:
        """The image to keep: the last, the best or the average."""
        image, kept = self.state.image, self.state.kept
        match kept:
            case Average():
                return kept.image / (1 - kept.unseen)
            case Best():
                # The last image was measured here or not at all.
                return image if self.terms and self.value < kept.value else kept.image
        return image


class Solver(NamedTuple):
    """The pieces of a loop; what is compiled, compiles once for each image shape."""

    init: Callable[..., State]  # (image, opt_state, step)
    chunk: jax.stages.Wrapped  # (problem, state, last step) -> (State, Info)
    terms: ObjectiveFn


def make(
    objective: ObjectiveFn,
    optimizer: Optimizer,
    keep: Keep = "last",
    decay: float = 0.99,
) -> Solver:
    """The solver of an objective, which is jitted already.

    `decay` is the share of the past in the average that `keep` may ask for.
    """

    def init(image: Image, opt_state: Any = None, step: int = 0) -> State:
        # Copies, because a chunk takes its state's buffers over; the type is named,
        # because a weak one would compile the chunk twice.
        first, good = (jnp.array(image, image.dtype, copy=True) for _ in range(2))
        if opt_state is None:
            opt_state = optimizer.init(first)
        return State(first, opt_state, jnp.int32(step), good, _kept(keep, decay, first))

    def chunk(problem: Any, state: State, last: Int[Array, ""]) -> tuple[State, Info]:
        def loss(image: Image) -> Scalar:
            return objective(problem, image).total

        def goes_on(carry: tuple[State, Info]) -> Bool[Array, ""]:
            state, info = carry
            return (state.step < last) & info.is_finite

        def advance(carry: tuple[State, Info]) -> tuple[State, Info]:
            state, _ = carry
            new = optimizer.step(loss, state.image, state.opt_state)
            return _guarded(state, new, decay)

        return lax.while_loop(goes_on, advance, (state, _unknown()))

    return Solver(init, jax.jit(chunk, donate_argnums=1), objective)


def run(
    solver: Solver,
    problem: Any,
    state: State,
    ready: Any = None,
    *,
    steps: int,
    log_every: int,
    pace: Callable[[int], int],
) -> Iterator[Progress]:
    """Yields the start, then where it stands after each chunk, the last included.

    `ready` is the problem in another form, for the chunks, if that is faster.

    `pace(step)` says how many steps the next chunk may take. With `log_every`
    above zero, chunks also end where a row of the log is due, and there, as at
    the start, the terms are computed; they always are at the end. A run whose
    loss, gradient or image stops being finite yields the last good one and ends.
    """
    step = int(state.step)
    info = _unknown()._replace(value=jnp.float32(jnp.nan))
    while True:
        due = step == steps or (log_every > 0 and step % log_every == 0)
        terms = jax.device_get(solver.terms(problem, state.image)) if due else None
        value = float(terms.total) if terms else float(info.value)
        if not info.is_finite:
            yield Progress(step, state, value, None, False)
            return
        if terms and not math.isfinite(value):
            step = max(step - 1, 0)
            before = state._replace(image=state.good, step=jnp.int32(step))
            yield Progress(step, before, value, None, False)
            return
        yield Progress(step, state, value, terms, True)
        if step >= steps:
            return
        row = (step // log_every + 1) * log_every if log_every else steps
        last = min(row, steps, step + max(1, pace(step)))
        state, info = solver.chunk(
            problem if ready is None else ready, state, jnp.int32(last)
        )
        step = int(state.step)


def _kept(keep: Keep, decay: float, image: Image) -> Average | Best | None:
    match keep:
        case "average":
            return Average((1 - decay) * image, jnp.float32(decay))
        case "best":
            return Best(jnp.array(image, copy=True), jnp.float32(jnp.inf))
    return None


def _updated(
    state: State, new: Step, decay: float, is_good: Bool[Array, ""]
) -> Average | Best | None:
    """What is kept, after a step from `state` that came out well, or did not."""
    kept = state.kept
    match kept:
        case Average():
            image = decay * kept.image + (1 - decay) * new.image
            moved = Average(image, decay * kept.unseen)
            return jax.tree.map(lambda a, b: jnp.where(is_good, a, b), moved, kept)
        case Best():
            # The value belongs to the image that the step started from.
            better = new.value < kept.value
            return Best(
                jnp.where(better, state.image, kept.image),
                jnp.where(better, new.value, kept.value),
            )
    return None


def _guarded(state: State, new: Step, decay: float) -> tuple[State, Info]:
    """The next state, or the one of the last good image if anything is not finite."""
    came_well = jnp.isfinite(new.value) & jnp.isfinite(new.grad_norm)
    goes_well = came_well & jnp.isfinite(new.image).all()
    good = jnp.where(came_well, state.image, state.good)
    moved = goes_well.astype(jnp.int32) - (~came_well).astype(jnp.int32)
    after = State(
        image=jnp.where(goes_well, new.image, good),
        opt_state=new.opt_state,
        step=jnp.maximum(state.step + moved, 0),
        good=good,
        kept=_updated(state, new, decay, goes_well),
    )
    return after, Info(new.value, new.grad_norm, goes_well)


def _unknown() -> Info:
    return Info(jnp.float32(0), jnp.float32(0), jnp.bool_(True))
