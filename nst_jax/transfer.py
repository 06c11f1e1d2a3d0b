"""The whole algorithm, arrays to arrays: what a notebook calls.

Pictures come in at the size they are worked on (`images.resize`), the style at
a size of its own; what comes back is the result with its terms.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nst_jax import devices, layers, objective, optimizers, solve, targets, vgg
from nst_jax.arrays import Image, LossTerms, Weights
from nst_jax.config import Config, InputConfig, NetworkConfig, OptimizerConfig
from nst_jax.errors import RequestError

# Anything with rows, columns and 3 channels; `_checked` says what is wrong with it.
Picture = np.ndarray | jax.Array

_content_targets = jax.jit(
    targets.content_targets, static_argnames=("names", "forward")
)
_style_targets = jax.jit(
    targets.style_targets, static_argnames=("names", "forward", "division")
)


class Result(NamedTuple):
    """A finished transfer."""

    image: Float[np.ndarray, "h w 3"]
    terms: LossTerms | None  # weighted, at the image; None where nobody asked
    steps: int
    is_finite: bool


def stylize(
    content: Picture,
    style: Picture | Sequence[Picture],
    weights: Weights,
    config: Config | None = None,
    *,
    initial: Picture | None = None,
    callback: Callable[[solve.Progress], bool | None] | None = None,
) -> Result:
    """The content repainted in the style.

    `callback` sees the start and then every `log_every` steps; the run ends
    early, with the image it has, when it returns False.
    """
    config = config or Config()
    every = config.solve.log_every
    for progress in steps(
        content,
        style,
        weights,
        config,
        initial=initial,
        pace=lambda step: every,
        log_every=every if callback else 0,
    ):
        if callback and callback(progress) is False:
            break
    return finish(progress, config)


def steps(
    content: Picture,
    style: Picture | Sequence[Picture],
    weights: Weights,
    config: Config,
    *,
    initial: Picture | None = None,
    pace: Callable[[int], int],
    log_every: int,
) -> Iterator[solve.Progress]:
    """The same as a generator: the start, then where it stands after each chunk.

    `pace` and `log_every` are those of `solve.run`. Nothing is computed before
    the first progress is asked for.
    """
    if initial is not None and initial.shape != content.shape:
        raise RequestError(
            f"initial must have the content's shape {content.shape}, got "
            f"{initial.shape}"
        )
    how, problem = prepare(content, style, weights, config)
    if initial is None:
        initial = first_image(config.inputs, jnp.asarray(content), problem)
    loop = solver(how, config.optimizer)
    yield from solve.run(
        loop,
        problem,
        loop.init(_checked(initial, "initial")),
        steps=config.solve.steps,
        log_every=log_every,
        pace=pace,
    )


def finish(progress: solve.Progress, config: Config) -> Result:
    """The result of the last progress: fetched, and within 0..1 unless box is none."""
    image = np.array(progress.image)
    if optimizers.box(config.optimizer) != "none":
        image = np.clip(image, 0, 1)
    return Result(image, progress.terms, progress.step, progress.is_finite)


def prepare(
    content: Picture,
    style: Picture | Sequence[Picture],
    weights: Weights,
    config: Config,
) -> tuple[objective.Recipe, objective.Problem]:
    """The objective of a job: its formulas, and its arrays with the targets."""
    styles = list(style) if isinstance(style, Sequence) else [style]
    if not styles:
        raise RequestError("style must hold at least one picture, got none")
    shares = config.objective.style_weights
    if len(shares) not in (1, len(styles)):
        raise RequestError(
            f"style_weights must have one value for each of the {len(styles)} styles, "
            f"got {len(shares)}"
        )
    if weights.network != config.network.network:
        raise RequestError(
            f"weights must be of {config.network.network}, got {weights.network}"
        )
    how = objective.recipe(config.objective, forward(config.network))
    for picture, name in ((content, "content"), *((s, "style") for s in styles)):
        _check_size(picture, name, how)
    constants = (weights.params, weights.preprocessing)
    kept = _content_targets(
        *constants, _checked(content, "content"), how.content_layers, how.forward
    )
    grams = [
        _style_targets(
            *constants,
            _checked(picture, "style"),
            how.style_layers,
            how.forward,
            how.gram_division,
        )
        for picture in styles
    ]
    if len(shares) == 1:
        shares = shares * len(grams)
    goal = targets.Targets(kept, targets.blend(grams, shares))
    factors = objective.weights(config.objective, weights.network)
    return how, objective.Problem(*constants, goal, factors)


def forward(settings: NetworkConfig) -> vgg.Forward:
    """How the network is run; a precision left open is that of the current device."""
    asked = settings.precision
    return vgg.Forward(
        network=settings.network,
        pooling=settings.pooling,
        pool_rounding=settings.pool_rounding,
        pool_scale=settings.pool_scale,
        padding=settings.padding,
        precision=devices.precision(asked, devices.current())
        if asked == "auto"
        else asked,
    )


@functools.lru_cache(maxsize=16)
def solver(how: objective.Recipe, settings: OptimizerConfig) -> solve.Solver:
    """The compiled loop; kept, so that further jobs of one shape compile nothing."""
    return solve.make(_objective(how), optimizers.make(settings))


@functools.lru_cache(maxsize=16)
def _objective(how: objective.Recipe) -> solve.ObjectiveFn:
    """The compiled terms, which all optimisers share."""
    return jax.jit(functools.partial(objective.terms, how))


def first_image(
    settings: InputConfig, content: Image, problem: objective.Problem
) -> Image:
    """The image that the first step starts from, unless one is given.

    Noise lies about the network's mean colour. `blend` is the Coursera
    exercise's: ratio * noise + (1 - ratio) * content, both about that mean.
    """
    if settings.init == "content":
        return content
    if settings.init not in ("noise", "blend"):
        raise RequestError(
            f"init={settings.init!r} needs its picture: pass initial=, or use content, "
            f"noise or blend"
        )
    key = jax.random.key(settings.seed)
    draw = (
        functools.partial(jax.random.uniform, minval=-1, maxval=1)
        if settings.noise == "uniform"
        else jax.random.normal
    )
    noise = settings.noise_amplitude * draw(key, content.shape, dtype=jnp.float32)
    preprocessing = problem.preprocessing
    grey = (preprocessing.mean / preprocessing.scale)[None, None]
    if settings.init == "noise":
        return grey + noise
    ratio = settings.noise_ratio
    return grey + ratio * noise + (1 - ratio) * (content - grey)


def _check_size(picture: Picture, name: str, how: objective.Recipe) -> None:
    used = (*how.content_layers, *how.style_layers)
    least = layers.least_side(used, how.forward.network)
    if picture.ndim != 3 or picture.shape[2] != 3 or min(picture.shape[:2]) < least:
        raise RequestError(
            f"{name} must be rows x columns x 3 with at least {least} rows and "
            f"columns, got {' x '.join(map(str, picture.shape))}"
        )


def _checked(picture: Picture, name: str) -> Image:
    """The picture as float32 on the device, if its numbers are those of an image."""
    if not jnp.issubdtype(picture.dtype, jnp.floating):
        raise RequestError(
            f"{name} must be floating point in 0..1, got {picture.dtype}; divide "
            f"8-bit values by 255"
        )
    image = jnp.asarray(picture, jnp.float32)
    if not float(jnp.abs(image).max()) < 3:
        raise RequestError(
            f"{name} must be numbers in 0..1, got up to {float(jnp.abs(image).max())}; "
            f"divide 8-bit values by 255"
        )
    return image
