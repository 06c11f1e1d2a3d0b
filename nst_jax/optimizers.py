"""Settings to an optax optimiser, with the evaluation that belongs to it.

L-BFGS keeps the value and gradient that its line search ends on, which saves an
evaluation a step - unless the image is projected afterwards, when they belong
to a point that was left. Value, gradient, update and projection are therefore
paired here, in one function, and nowhere else.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

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
    searches = settings.optimizer == "lbfgs"

    def init(image: Image) -> Any:
        # optax's fresh state holds weakly typed and shared leaves: the first
        # would compile the step twice, the second cannot be donated.
        fresh = transform.init(image)
        return jax.tree.map(lambda a: jnp.array(a, a.dtype, copy=True), fresh)

    def step(loss: LossFn, image: Image, opt_state: Any) -> Step:
        if searches and not clips:
            evaluate = optax.value_and_grad_from_state(loss)
            value, grad = evaluate(image, state=opt_state)
        else:
            value, grad = jax.value_and_grad(loss)(image)
        updates, opt_state = transform.update(
            grad, opt_state, image, value=value, grad=grad, value_fn=loss
        )
        image = optax.apply_updates(image, updates)
        if clips:
            image = jnp.clip(image, 0, 1)
        return Step(image, opt_state, value, optax.tree.norm(grad))

    return Optimizer(init, step)


def box(settings: OptimizerConfig) -> Literal["step", "end", "none"]:
    """Where pixels are kept in 0..1: at each `step`, at the `end`, or `none`."""
    if settings.box != "auto":
        return settings.box
    return "end" if settings.optimizer == "lbfgs" else "step"


def learning_rate(settings: OptimizerConfig) -> float:
    """The first step size, as asked for or the optimiser's own."""
    return settings.learning_rate or LEARNING_RATES[settings.optimizer]


def _transform(settings: OptimizerConfig) -> optax.GradientTransformation:
    rate = _schedule(settings)
    match settings.optimizer:
        case "lbfgs":
            search = optax.scale_by_zoom_linesearch(
                max_linesearch_steps=settings.linesearch_steps,
                initial_guess_strategy="one",
            )
            return optax.lbfgs(rate, memory_size=settings.history, linesearch=search)
        case "adam":
            return optax.adam(
                rate,
                settings.beta1,
                settings.beta2,
                settings.epsilon,
                nesterov=settings.nesterov,
            )
        case "rmsprop":
            return optax.rmsprop(
                rate,
                settings.decay,
                settings.epsilon,
                momentum=settings.momentum or None,
                nesterov=settings.nesterov,
            )
        case "adagrad":
            return optax.adagrad(rate, settings.accumulator, settings.epsilon)
        case "sgd":
            return optax.sgd(
                rate, settings.momentum or None, nesterov=settings.nesterov
            )


def _schedule(settings: OptimizerConfig) -> float | optax.Schedule:
    rate, every = learning_rate(settings), settings.schedule_steps
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
