"""The loop: chunks of steps on the device, control between them.

A chunk is one `while_loop` whose length is an argument, so that one executable
serves every length and nothing is fetched inside. It ends early when a step has a
fault or the loss has settled (`guard`); the last image that had a good loss travels
along, and a run goes on from it. The objective and the optimiser are arguments.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Int

from nst_jax import guard, mesh
from nst_jax import kept as keeping
from nst_jax.arrays import Image, LossTerms, Scalar
from nst_jax.guard import Bounds
from nst_jax.kept import Average, Best
from nst_jax.kept import Keep as Keep
from nst_jax.optimizers import Optimizer, Step

# (problem, image) -> terms; the problem is a pytree that `solve` hands through.
ObjectiveFn = Callable[[Any, Image], LossTerms]


Halt = Literal["", "settled", "time"]


class State(NamedTuple):
    """What one step hands to the next."""

    image: Image
    opt_state: Any
    step: Int[Array, ""]  # updates so far
    good: Image  # the last image whose loss was good
    kept: Average | Best | None = None  # what the result is made of, if not the image
    bounds: Bounds | None = None  # `init` sets them


class Info(NamedTuple):
    """What the last step of a chunk saw, at the image it started from."""

    value: Scalar
    grad_norm: Scalar
    is_finite: Bool[Array, ""]  # and free of other faults
    fault: Int[Array, ""] | int = 0  # which, as `guard` counts them
    is_settled: Bool[Array, ""] | bool = False


class Recovery(NamedTuple):
    """A fault, and where the run went on."""

    step: int
    fault: int
    rate: float  # by what its updates are multiplied from there


class Place(NamedTuple):
    """Where in the whole run its solver stands."""

    scale: int = 0
    first: int = 0  # the step at which the scale began
    recoveries: int = 0  # so far
    halvings: int = 0  # of the rate


class Progress(NamedTuple):
    """Where a run stands between two chunks.

    The state is on the device and valid until the next progress is asked for; that of
    an earlier run is on the host.
    After a divergence it is that of the last good image.
    """

    step: int
    state: State
    value: float  # the total, at this image if `terms` is there, else one step ago
    terms: LossTerms | None  # on the host
    is_finite: bool
    fault: int = 0  # what it ends with, as `guard` counts them
    halt: Halt = ""  # why the scale ends before its last step
    recovery: Recovery | None = None  # if the run has just gone back
    place: Place = Place()
    layout: mesh.Layout | None = None  # of the state, on several devices

    @property
    def image(self) -> Any:
        """The image to keep: the last, the best or the average."""
        return mesh.bare(self.layout, self._image())

    def _image(self) -> Image | np.ndarray:
        image, kept = self.state.image, self.state.kept
        match kept:
            case Average():
                return kept.image / (1 - kept.unseen)
            case Best():
                # The last image was measured here or not at all.
                return image if self.terms and self.value < kept.value else kept.image
        return image

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the image."""
        rows, columns, _ = self.state.image.shape
        return (self.layout.rows if self.layout else rows), columns

    def bare(self) -> State:
        """The state as one device has it; on the host, if there are several."""
        return jax.tree.map(lambda leaf: mesh.bare(self.layout, leaf), self.state)


class Solver(NamedTuple):
    """The pieces of a loop; what is compiled, compiles once for each image shape."""

    init: Callable[..., State]  # (image, opt_state, step)
    chunk: jax.stages.Wrapped  # (problem, state, last step) -> (State, Info)
    terms: ObjectiveFn
    back: Callable[[State], State]  # from a bad image to the good one before it
    restart: Callable[[State, float], State]  # its optimiser afresh, at another rate
    bare: Callable[..., tuple[State, Info]]  # the chunk, not compiled
    layout: mesh.Layout | None = None  # on which devices the state lies


def make(
    objective: ObjectiveFn,
    optimizer: Optimizer,
    keep: Keep = "last",
    decay: float = 0.99,
    options: tuple[tuple[str, str], ...] = (),
    layout: mesh.Layout | None = None,
) -> Solver:
    """The solver of an objective, which is jitted already.

    `decay` is the share of the past in the average that `keep` may ask for, `options`
    are the compiler's. On several devices the state has their `layout`; `init` takes
    what has none.
    """

    def init(image: Image, opt_state: Any = None, step: int = 0) -> State:
        if layout is None:
            return fresh(image, opt_state, step)
        given = mesh.laid(layout, image), mesh.settled(layout, opt_state)
        return mesh.made(layout, fresh, *given, jnp.int32(step))

    def fresh(image: Image, opt_state: Any = None, step: Any = 0) -> State:
        # Copies, because a chunk takes its state's buffers over; the type is named,
        # because a weak one would compile the chunk twice.
        first, good = (jnp.array(image, image.dtype, copy=True) for _ in range(2))
        if opt_state is None:
            opt_state = optimizer.init(first)
        kept = keeping.first(keep, decay, first)
        bounds = guard.bounds(step)
        return State(first, opt_state, jnp.int32(step), good, kept, bounds)

    def chunk(problem: Any, state: State, last: Int[Array, ""]) -> tuple[State, Info]:
        def loss(image: Image) -> Scalar:
            return objective(problem, image).total

        def goes_on(carry: tuple[State, Info]) -> Bool[Array, ""]:
            state, info = carry
            has_ended = jnp.logical_not(info.is_finite) | info.is_settled
            return (state.step < last) & jnp.logical_not(has_ended)

        def advance(carry: tuple[State, Info]) -> tuple[State, Info]:
            state, _ = carry
            new = optimizer.step(loss, state.image, state.opt_state)
            after, info = _guarded(state, new, decay)
            return mesh.held(layout, after), info

        return lax.while_loop(goes_on, advance, (state, _unknown()))

    def restart(state: State, factor: float) -> State:
        new = optimizer.init(state.image)
        rate = jnp.array(factor * state.opt_state.rate, jnp.float32)
        inner = guard.after_restart(new.inner, state.opt_state.inner)
        moves = new._replace(rate=rate, inner=inner)
        return state._replace(opt_state=moves, bounds=guard.restarted(_bounds(state)))

    def back(state: State) -> State:
        good = jnp.array(state.good, copy=True)
        kept = keeping.without(state.kept, good, decay)
        step = jnp.array(_bounds(state).at, copy=True)
        return state._replace(image=good, step=step, kept=kept)

    compiled = jax.jit(chunk, donate_argnums=1, compiler_options=dict(options))
    return Solver(
        init,
        compiled,
        objective,
        functools.partial(mesh.made, layout, back),
        functools.partial(mesh.made, layout, restart),
        chunk,
        layout,
    )


def run(
    solver: Solver,
    problem: Any,
    state: State,
    ready: Any = None,
    *,
    steps: int,
    log_every: int,
    pace: Callable[[int], int],
    chances: int = 0,
) -> Iterator[Progress]:
    """Yields the start, then where it stands after each chunk, the last included.

    `ready` is the problem in another form, for the chunks, if that is faster.

    `pace(step)` says how many steps the next chunk may take; 0 ends the run. With
    `log_every` above zero, chunks also end where a row of the log is due, and there,
    as at the start, the terms are computed; they always are at the end. After a fault
    the run goes on from the last good image, `chances` times; then, without a chance,
    it yields that image and ends.
    """
    told = functools.partial(Progress, layout=solver.layout)
    halt: Halt = ""
    step = int(state.step)
    info = _unknown()._replace(value=jnp.float32(jnp.nan))
    while True:
        fault, terms = int(info.fault), None
        if fault == guard.STALLED:
            # As low as it gets is no failure, however often it was tried.
            is_over = chances <= 0 or guard.is_at_rest(_bounds(state))
            fault, halt = (0, "settled") if is_over else (fault, halt)
        due = halt or step >= steps or (log_every > 0 and step % log_every == 0)
        if due and not fault:
            terms = jax.device_get(solver.terms(problem, state.image))
        value = float(terms.total) if terms else float(info.value)
        if terms:
            fault = guard.fault(value, _bounds(state), state.opt_state)
        if terms and fault:
            state, terms = solver.back(state), None
            step = int(state.step)
        if fault and chances <= 0:
            yield told(step, state, value, None, False, fault)
            return
        if fault:
            chances -= 1
            factor = 1.0 if fault == guard.STALLED else 0.5
            state = solver.restart(state, factor)
            found = Recovery(step, fault, float(state.opt_state.rate))
            yield told(step, state, value, None, True, recovery=found)
        else:
            yield told(step, state, value, terms, True, halt=halt)
            if halt or step >= steps:
                return
        length = pace(step)
        if length < 1:
            halt, info = "time", _unknown()
            continue
        row = (step // log_every + 1) * log_every if log_every else steps
        last = jnp.int32(min(row, steps, step + length))
        state, info = solver.chunk(problem if ready is None else ready, state, last)
        step = int(state.step)
        halt = "settled" if info.is_settled else ""


def _bounds(state: State) -> Bounds:
    """Those of the state; none for one that `init` did not make."""
    return state.bounds or guard.bounds(state.step)


def _guarded(state: State, new: Step, decay: float) -> tuple[State, Info]:
    """The next state, or the one of the last good image if the step has a fault."""
    image, value = new.image, new.value
    verdict = guard.judge(
        _bounds(state), state.step, value, new.grad_norm, image, new.opt_state
    )
    goes_well = verdict.fault == 0
    good = jnp.where(verdict.is_good, state.image, state.good)
    kept = keeping.updated(state.kept, state.image, value, image, decay, goes_well)
    kept = jax.tree.map(
        lambda a, b: jnp.where(goes_well | verdict.is_good, a, b),
        kept,
        keeping.without(kept, good, decay),
    )
    after = State(
        image=jnp.where(goes_well, image, good),
        opt_state=new.opt_state,
        step=jnp.where(goes_well, state.step + 1, verdict.bounds.at),
        good=good,
        kept=kept,
        bounds=verdict.bounds,
    )
    info = Info(value, new.grad_norm, goes_well, verdict.fault, verdict.is_settled)
    return after, info


def _unknown() -> Info:
    zero = jnp.float32(0)
    return Info(zero, zero, jnp.bool_(True), jnp.int32(0), jnp.bool_(False))
