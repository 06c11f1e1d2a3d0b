"""The whole algorithm, arrays to arrays: what a notebook calls.

Pictures come in at the size they are worked on (`images.resize`), the style at
a size of its own; what comes back is the result with its terms.
"""

import functools
import math
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float32

from nst_jax import (
    balance,
    budget,
    color,
    devices,
    guides,
    memory,
    mesh,
    objective,
    optimizers,
    prepare,
    pyramid,
    scales,
    solve,
    stages,
)
from nst_jax.arrays import LossTerms, Weights
from nst_jax.config import Config, OptimizerConfig
from nst_jax.errors import RequestError
from nst_jax.images import sampling
from nst_jax.pictures import Pictures, resized

# Anything with rows, columns and 3 channels; `_picture` says what is wrong with it.
Picture = np.ndarray | jax.Array
Mask = Float32[np.ndarray, "_ _"]
Masks = Float32[np.ndarray, "_ _ _"]
Pixels = Float32[np.ndarray, "h w 3"]
Shape = tuple[int, int]


# What has been compiled since the caches were last emptied.
_KINDS: set[Hashable] = set()
_MOST_KINDS = 16


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
    regions: Masks | None = None,
    style_regions: Sequence[Masks] = (),
    protect: Mask | None = None,
    fill: Mask | None = None,
    callback: Callable[[solve.Progress], bool | None] | None = None,
) -> Result:
    """The content repainted in the style.

    `regions` and `style_regions` say which part of the content takes its style from
    which part of the style, `protect` where the content weighs more, `fill` where
    the picture may change: all of them masks in 0..1. `callback` sees the start and
    then every `log_every` steps; the run ends early, with the image it has, when it
    returns False.
    """
    since, config = time.monotonic(), config or Config()
    every = config.solve.log_every
    styles = list(style) if isinstance(style, Sequence) else [style]
    given = Pictures(
        content=_picture(content, "content"),
        styles=tuple(_picture(each, "style") for each in styles),
        initial=None if initial is None else _picture(initial, "initial"),
        regions=regions,
        style_regions=tuple(style_regions),
        protect=protect,
        fill=fill,
    )
    if given.initial is not None and given.initial.shape != given.content.shape:
        raise RequestError(
            f"initial must have the content's shape {given.content.shape}, got "
            f"{given.initial.shape}"
        )
    rows, columns, _ = given.content.shape
    shape, multiples = (rows, columns), config.tiling()
    if sampling.in_multiples(shape, multiples) != shape:
        raise RequestError(
            f"content must have rows and columns that are multiples of {multiples[0]} "
            f"and {multiples[1]} to tile with --wrap={config.control.wrap}, got {rows} "
            f"and {columns}; resize it"
        )
    sizes = scales.sizes(max(shape), config.solve.scales)
    shapes = pyramid.shapes(shape, sizes, config.least_content(), multiples)
    pictures = functools.partial(resized, given, least=config.least_side())
    settings, is_stopped = config.solve, False
    timed = budget.budget(
        lambda step: every,
        budget.limits(
            settings.max_seconds,
            since,
            shapes,
            settings.steps,
            settings.scale_steps,
        ),
    )
    for progress in steps(
        pictures,
        shapes,
        weights,
        config,
        pace=timed.pace,
        log_every=every if callback else 0,
        began=timed.began,
    ):
        if callback and callback(progress) is False:
            is_stopped = True
            break
    if progress.is_finite and not is_stopped:
        progress = stages.enlarged(progress, shape, config)
    # It may have been stopped at a scale before the last.
    return finish(progress, pictures(progress.shape), config)


def steps(
    pictures: Callable[[Shape], Pictures],
    shapes: Sequence[Shape],
    weights: Weights,
    config: Config,
    *,
    pace: Callable[[int], int],
    log_every: int,
    start: stages.Start | None = None,
    began: Callable[[int], bool] = lambda scale: True,
) -> Iterator[solve.Progress]:
    """The same as a generator: the start, then where it stands after each chunk.

    `pictures` gives everything at one of `shapes`, which rise to that of the result.
    `pace` and `log_every` are those of `solve.run`. With a `start` it goes on from
    there. `began` is told which scale begins, and says whether there is time for one
    after the first. Nothing is computed before the first progress is asked for.
    """
    settings = config.solve
    if not settings.steps:
        shapes = shapes[-1:]
    place, now = solve.Place(), None
    if start:
        how = objective.recipe(config.objective, prepare.forward(config))
        layout = memory.layout(start.shape, config, how.forward)
        place, now = start.place, stages.stood(start, loop_of(how, config), layout)
    for index, shape in enumerate(shapes):
        if start and max(shape) < max(start.shape):
            continue
        is_next = now is not None and not (start and shape == start.shape)
        if not began(index) and is_next:
            return
        here = prepare.coloured(pictures(shape), config.control)
        how, problem = balanced_problem(here, weights, config)
        seen = tuple(each.shape[:2] for each in (here.content, *here.styles))
        make_room((how, optimizers.compiled(config.optimizer), seen))
        loop = loop_of(how, config)
        if now is None or is_next:
            place = place._replace(scale=index, first=now.step if now else 0)
            state = stages.first(loop, here, problem, now, place, config)
        else:
            state = stages.placed(now.state, how.layout)
        count = scales.steps_at(
            index, len(shapes), settings.steps, settings.scale_steps
        )
        last = place.first + count
        if start and start.is_settled and not is_next:
            last = int(state.step)
        ready = None
        if last > int(state.step):
            ready = prepare.ready(problem, how, math.prod(shape))
        for progress in solve.run(
            loop,
            problem,
            state,
            ready,
            steps=last,
            log_every=log_every,
            pace=pace,
            chances=settings.max_recoveries - place.recoveries,
        ):
            place = stages.mended(place, progress.recovery)
            now = progress._replace(place=place)
            # The start of a further scale is the end of the one before.
            if not is_next or stages.is_news(now):
                yield now
            if not now.is_finite:
                return


def loop_of(how: objective.Recipe, config: Config) -> solve.Solver:
    """The solver of a recipe by the settings."""
    settings = config.solve
    return solver(how, config.optimizer, settings.keep, settings.average_decay)


def finish(progress: solve.Progress, pictures: Pictures, config: Config) -> Result:
    """The result of the last progress, fetched: within 0..1 unless box is none.

    `pictures` are those of its scale, with their colours.
    """
    image, settings = np.array(progress.image), config.control
    if optimizers.box(config.optimizer) != "none":
        image = np.clip(image, 0, 1)
    free = guides.free(pictures, settings)
    image = _laid(image, pictures.content, free)
    method = settings.color
    if method == "luminance" or (method != "none" and settings.color_when == "after"):
        image = color.after(image, pictures.content, method, regions=pictures.regions)
        # Where nothing may change, not even by colours matched over the whole.
        image = _laid(image, pictures.content, free)
    return Result(image, progress.terms, progress.step, progress.is_finite)


def _laid(image: Pixels, content: Pixels, free: guides.Mask | None) -> Pixels:
    """The image where it is free; elsewhere the content shows through, to the bit."""
    if free is None:
        return image
    share = free[:, :, None]
    return np.where(share > 0, content + share * (image - content), content)


def solver(
    how: objective.Recipe, settings: OptimizerConfig, keep: solve.Keep, decay: float
) -> solve.Solver:
    """The compiled loop; kept, so that further jobs of one shape compile nothing.

    The state that it starts from has a rate of its own: see `optimizers.at_rate`.
    """
    options = devices.thrift()
    return _solver(how, optimizers.compiled(settings), keep, decay, options)


def make_room(kind: Hashable) -> None:
    """Lets all compiled programs go before one that would be too many.

    JAX keeps them by shape for ever, and each takes some 20 MB.
    """
    if kind not in _KINDS and len(_KINDS) >= _MOST_KINDS:
        _KINDS.clear()
        _solver.cache_clear()
        _objective.cache_clear()
        jax.clear_caches()
    _KINDS.add(kind)


@functools.lru_cache(maxsize=16)
def _solver(
    how: objective.Recipe,
    settings: OptimizerConfig,
    keep: solve.Keep,
    decay: float,
    options: tuple[tuple[str, str], ...],
) -> solve.Solver:
    return solve.make(
        *(_objective(how), optimizers.make(settings), keep, decay, options),
        layout=how.layout,
    )


@functools.lru_cache(maxsize=16)
def _objective(how: objective.Recipe) -> solve.ObjectiveFn:
    """The compiled terms, which all optimisers share."""
    return jax.jit(functools.partial(objective.terms, how))


def balanced_problem(
    here: Pictures, weights: Weights, config: Config
) -> tuple[objective.Recipe, objective.Problem]:
    """The objective, with weights for these pictures if a strength is asked for.

    `here` are the pictures as the network sees them: `prepare.coloured`.
    """
    how, problem = prepare.problem(here, weights, config)
    strength = config.objective.balanced_strength()
    if strength is None:
        return how, problem
    shares = guides.shares(here, config).mean(axis=1)
    disorder = balance.disorder(here.styles, shares, here.content.shape[:2])
    content, wild = (mesh.laid(how.layout, each) for each in (here.content, disorder))
    return how, balance.balanced(_objective(how), problem, content, wild, strength)


def _picture(picture: Picture, name: str) -> Float32[np.ndarray, "_ _ 3"]:
    """The picture as float32 in memory, if its numbers are those of an image."""
    # Of a file's name each letter comes here, as if it were one of several styles.
    if not isinstance(picture, np.ndarray | jax.Array):
        raise RequestError(
            f"{name} must be an array of rows x columns x 3, got "
            f"{type(picture).__name__}; nst_jax.load_image makes one from a file"
        )
    if not jnp.issubdtype(picture.dtype, jnp.floating):
        raise RequestError(
            f"{name} must be floating point in 0..1, got {picture.dtype}; divide "
            f"8-bit values by 255"
        )
    if picture.ndim != 3 or picture.shape[2] != 3:
        raise RequestError(
            f"{name} must be rows x columns x 3, got "
            f"{' x '.join(map(str, picture.shape))}"
        )
    image = np.asarray(picture, np.float32)
    largest = float(np.abs(image).max(initial=0))
    if not largest < 3:
        raise RequestError(
            f"{name} must be numbers in 0..1, got up to {largest}; divide 8-bit values "
            f"by 255"
        )
    return image
