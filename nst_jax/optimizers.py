"""Settings to an optax optimiser, with the evaluation that belongs to it.

L-BFGS keeps the value and gradient that its line search ends on, which saves an
evaluation a step - unless the image is projected afterwards, when they belong
to a point that was left. Value, gradient, update and projection are therefore
paired here, in one function, and nowhere else.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from nst_jax import lbfgs, waves
from nst_jax.arrays import Image, Scalar
from nst_jax.config import OptimizerConfig

LossFn = Callable[[Image], Scalar]

# Rates that do well on an image in 0..1; `--learning_rate=0` asks for them.
LEARNING_RATES = {
    "lbfgs": 1.0,
    "adam": 0.02,
    "rmsprop": 0.01,
    "adagrad": 0.1,
    "sgd": 0.01,
}


class Moves(NamedTuple):
    """An optimiser's state, and its rate: an array, so that none is compiled in."""

    rate: Scalar
    inner: Any


class Step(NamedTuple):
    """One update, and the loss and gradient at the image it started from."""

    image: Image
    opt_state: Any
    value: Scalar
    grad_norm: Scalar


class Optimizer(NamedTuple):
    """How an image is moved: `init(image)` and `step(loss, image, opt_state)`."""

    init: Callable[[Image], Any]
    step: Callable[[LossFn, Image, Any], Step]


def make(settings: OptimizerConfig) -> Optimizer:
    """The optimiser that the settings describe."""
    transform = optax.with_extra_args_support(_transform(settings))
    clips = box(settings) == "step"
    searches = settings.optimizer == "lbfgs" and settings.line_search == "zoom"
    moved, seen = _basis(settings)

    def init(image: Image) -> Any:
        # optax's fresh state holds weakly typed and shared leaves: the first
        # would compile the step twice, the second cannot be donated.
        fresh = Moves(jnp.float32(1), transform.init(moved(image)))
        copy = jax.tree.map(lambda a: jnp.array(a, a.dtype, copy=True), fresh)
        return at_rate(copy, settings)

    def step(loss: LossFn, image: Image, opt_state: Any) -> Step:
        def at(point: Image) -> Scalar:
            return loss(seen(point))

        rate, inner = opt_state
        point = moved(image)
        if searches and not clips:
            evaluate = optax.value_and_grad_from_state(at)
            value, grad = evaluate(point, state=inner)
        else:
            value, grad = jax.value_and_grad(at)(point)
        updates, inner = transform.update(
            grad, inner, point, value=value, grad=grad, value_fn=at
        )
        if is_rated(settings) or settings.line_search == "none":
            updates = rate * updates
        if isinstance(inner, lbfgs.State):
            inner = inner._replace(move=updates)  # a rate of less than 1 is its own
        image = seen(point + updates)
        if clips:
            image = jnp.clip(image, 0, 1)
        return Step(image, Moves(rate, inner), value, optax.tree.norm(grad))

    return Optimizer(init, step)


def _basis(
    settings: OptimizerConfig,
) -> tuple[Callable[[Image], Image], Callable[[Image], Image]]:
    """From an image to what is moved, and back."""
    if settings.basis == "waves" and not _has_matrix(settings):
        return waves.waves, waves.image
    return lambda image: image, lambda point: point


def _has_matrix(settings: OptimizerConfig) -> bool:
    """Whether waves are within its inverse Hessian, and what is moved is the image."""
    return settings.optimizer == "lbfgs" and settings.line_search == "none"


def box(settings: OptimizerConfig) -> Literal["step", "end", "none"]:
    """Where pixels are kept in 0..1: at each `step`, at the `end`, or `none`."""
    if settings.box != "auto":
        return settings.box
    return "end" if settings.optimizer == "lbfgs" else "step"


def is_rated(settings: OptimizerConfig) -> bool:
    """Whether the rate only scales each update; L-BFGS has it within its steps."""
    return settings.optimizer != "lbfgs"


def compiled(settings: OptimizerConfig) -> OptimizerConfig:
    """What of the settings the compiled step depends on: not on a rate that scales."""
    if not is_rated(settings):
        return settings
    return dataclasses.replace(settings, learning_rate=1.0)


def at_rate(opt_state: Moves, settings: OptimizerConfig) -> Moves:
    """The state of an optimiser with the settings' rate."""
    rate = learning_rate(settings) if is_rated(settings) else 1.0
    return opt_state._replace(rate=jnp.float32(rate))


def learning_rate(settings: OptimizerConfig) -> float:
    """The first step size, as asked for or the optimiser's own."""
    return settings.learning_rate or LEARNING_RATES[settings.optimizer]


def epsilon_place(settings: OptimizerConfig) -> Literal["root", "square", "raw"]:
    """What epsilon is added to: the `root` of the squares, the `square`, or `raw`.

    Raw is the root before Adam's bias correction. torch adds it to the root, Keras to
    Adam's raw root and elsewhere to the squares.
    """
    if settings.epsilon_place != "auto":
        return settings.epsilon_place
    return "root" if settings.optimizer == "adam" else "square"


def _transform(settings: OptimizerConfig) -> optax.GradientTransformation:
    rate = _schedule(settings)
    match settings.optimizer:
        case "lbfgs":
            return _lbfgs(settings)
        case "adam":
            return optax.chain(_adam(settings), optax.scale_by_learning_rate(rate))
        case "rmsprop":
            return optax.rmsprop(
                rate,
                settings.decay,
                settings.epsilon,
                eps_in_sqrt=epsilon_place(settings) == "square",
                momentum=settings.momentum or None,
                nesterov=settings.nesterov,
            )
        case "adagrad":
            return optax.chain(_adagrad(settings), optax.scale_by_learning_rate(rate))
        case "sgd":
            return optax.sgd(
                rate, settings.momentum or None, nesterov=settings.nesterov
            )


def _lbfgs(settings: OptimizerConfig) -> optax.GradientTransformation:
    rate, history = learning_rate(settings), settings.history
    if settings.line_search == "none":
        begin = waves.broadened if settings.basis == "waves" else lbfgs.plain
        longest = settings.longest_step or math.inf
        return lbfgs.without_search(rate, history, settings.first_step, longest, begin)
    search = optax.scale_by_zoom_linesearch(
        max_linesearch_steps=settings.linesearch_steps, initial_guess_strategy="one"
    )
    return optax.lbfgs(rate, memory_size=history, linesearch=search)


def _adam(settings: OptimizerConfig) -> optax.GradientTransformation:
    """Adam's direction, epsilon where it is placed."""
    decays, place = (settings.beta1, settings.beta2), epsilon_place(settings)

    def adam(root: Any, square: float) -> optax.GradientTransformation:
        return optax.scale_by_adam(*decays, root, square, nesterov=settings.nesterov)

    if place == "square":
        return adam(0.0, settings.epsilon)
    if place == "root":
        return adam(settings.epsilon, 0.0)

    def update(
        grad: Image, state: optax.ScaleByAdamState, image: Image | None = None
    ) -> tuple[Image, optax.ScaleByAdamState]:
        # With c = 1 - b2^t, (sqrt(v) + eps) / sqrt(c) is sqrt(v / c) + eps / sqrt(c).
        corrected = jnp.sqrt(1 - settings.beta2 ** (state.count + 1))
        return adam(settings.epsilon / corrected, 0.0).update(grad, state)

    return optax.GradientTransformation(adam(0.0, 0.0).init, update)


def _adagrad(settings: OptimizerConfig) -> optax.GradientTransformation:
    """Adagrad's direction, epsilon where it is placed."""
    inner = optax.scale_by_rss(settings.accumulator, settings.epsilon)
    if epsilon_place(settings) == "square":
        return inner

    def update(
        grad: Image, state: optax.ScaleByRssState, image: Image | None = None
    ) -> tuple[Image, optax.ScaleByRssState]:
        _, state = inner.update(grad, state)
        return grad / (jnp.sqrt(state.sum_of_squares) + settings.epsilon), state

    return optax.GradientTransformation(inner.init, update)


def _schedule(settings: OptimizerConfig) -> float | optax.Schedule:
    """How the rate goes, as a factor of the first."""
    rate, every = 1.0, settings.schedule_steps
    after: float | optax.Schedule
    match settings.schedule:
        case "constant":
            after = rate
        case "exponential":
            after = optax.exponential_decay(rate, every, settings.schedule_rate)
        case "cosine":
            after = optax.cosine_decay_schedule(rate, every)
        case "inverse_root":

            def after(step: Array) -> Scalar:
                return rate / jnp.sqrt(1 + settings.schedule_rate * step)

    if not settings.warmup_steps:
        return after
    # The step after the warm-up is the first of the schedule.
    rise = optax.linear_schedule(0, rate, settings.warmup_steps)
    steady = after if callable(after) else optax.constant_schedule(after)
    return optax.join_schedules([rise, steady], [settings.warmup_steps])
