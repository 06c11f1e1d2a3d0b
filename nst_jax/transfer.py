"""The whole algorithm, arrays to arrays: what a notebook calls.

Pictures come in at the size they are worked on (`images.resize`), the style at
a size of its own; what comes back is the result with its terms.
"""

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float32

from nst_jax import (
    balance,
    color,
    devices,
    layers,
    masks,
    objective,
    optimizers,
    pyramid,
    scales,
    solve,
    targets,
    vgg,
)
from nst_jax.arrays import Image, LossTerms, Params, Preprocessing, RegionMaps, Weights
from nst_jax.config import (
    Config,
    ControlConfig,
    InputConfig,
    NetworkConfig,
    OptimizerConfig,
)
from nst_jax.errors import RequestError
from nst_jax.images import sampling
from nst_jax.pictures import Pictures, resized

# Anything with rows, columns and 3 channels; `_picture` says what is wrong with it.
Picture = np.ndarray | jax.Array
Mask = Float32[np.ndarray, "_ _"]
Masks = Float32[np.ndarray, "_ _ _"]
Shape = tuple[int, int]

_content_targets = jax.jit(
    targets.content_targets, static_argnames=("names", "forward")
)
_style_statistics = jax.jit(
    targets.style_statistics,
    static_argnames=("names", "forward", "division", "statistics"),
)
_style_targets = jax.jit(targets.style_targets, static_argnames="statistics")


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
    config = config or Config()
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
    shape, least, multiples = (rows, columns), _least_side(config), config.tiling()
    if sampling.in_multiples(shape, multiples) != shape:
        raise RequestError(
            f"content must have rows and columns that are multiples of {multiples[0]} "
            f"and {multiples[1]} to tile with wrap={config.control.wrap}, got {rows} "
            f"and {columns}; resize it"
        )
    sizes = scales.sizes(max(shape), config.solve.scales)
    shapes = pyramid.shapes(shape, sizes, least, multiples)
    for progress in steps(
        functools.partial(resized, given, least=least),
        shapes,
        weights,
        config,
        pace=lambda step: every,
        log_every=every if callback else 0,
    ):
        if callback and callback(progress) is False:
            break
    return finish(progress, given, config)


def steps(
    pictures: Callable[[Shape], Pictures],
    shapes: Sequence[Shape],
    weights: Weights,
    config: Config,
    *,
    pace: Callable[[int], int],
    log_every: int,
) -> Iterator[solve.Progress]:
    """The same as a generator: the start, then where it stands after each chunk.

    `pictures` gives everything at one of `shapes`, which rise to that of the result.
    `pace` and `log_every` are those of `solve.run`. Nothing is computed before the
    first progress is asked for.
    """
    settings = config.solve
    state: solve.State | None = None
    image = None
    if not settings.steps:
        shapes = shapes[-1:]
    marks = scales.starts(len(shapes), settings.steps, settings.scale_steps)
    turns = itertools.pairwise(marks)
    for shape, (first, last) in zip(shapes, turns, strict=True):
        here = coloured(pictures(shape), config.control)
        how, problem = prepare(here, weights, config)
        if config.objective.balance == "range":
            problem = _balanced(how, problem, here, config)
        loop = solver(how, config.optimizer, settings.keep, settings.average_decay)
        if image is None or state is None:
            state = loop.init(_start(here, problem, config))
        else:
            wrap = config.control.wrap
            rows, columns, _ = image.shape
            carried = pyramid.carry_state(state.opt_state, (rows, columns), shape, wrap)
            enlarged = pyramid.carry(image, shape, settings.scale_filter, wrap)
            if optimizers.box(config.optimizer) == "step":
                enlarged = jnp.clip(enlarged, 0, 1)
            state = loop.init(enlarged, carried, first)
        moves = optimizers.at_rate(state.opt_state, config.optimizer)
        state = state._replace(opt_state=moves)
        for progress in solve.run(
            loop, problem, state, steps=last, log_every=log_every, pace=pace
        ):
            # The start of a further scale is the end of the one before.
            if not first or progress.step > first or not progress.is_finite:
                yield progress
            if not progress.is_finite:
                return
            state, image = progress.state, progress.image


def coloured(pictures: Pictures, settings: ControlConfig) -> Pictures:
    """The pictures as the network is to see them, whatever keeps the colours."""
    method = settings.color
    if method == "none" or (settings.color_when == "after" and method != "luminance"):
        return pictures
    # Each style takes the colours of the parts that it is for.
    regions = pictures.style_regions or (None,) * len(pictures.styles)
    shares = pictures.shares or (None,) * len(pictures.styles)
    styles = tuple(
        color.before(
            style,
            pictures.content,
            method,
            style_regions=own,
            regions=pictures.regions,
            shares=share,
        )
        for style, own, share in zip(pictures.styles, regions, shares, strict=True)
    )
    if method != "luminance":
        return pictures._replace(styles=styles)
    initial = None if pictures.initial is None else color.grey(pictures.initial)
    return pictures._replace(
        content=color.grey(pictures.content), styles=styles, initial=initial
    )


def finish(progress: solve.Progress, pictures: Pictures, config: Config) -> Result:
    """The result of the last progress, fetched: within 0..1 unless box is none.

    `pictures` are those of its scale, with their colours.
    """
    image, settings = np.array(progress.image), config.control
    if optimizers.box(config.optimizer) != "none":
        image = np.clip(image, 0, 1)
    method = settings.color
    if method == "luminance" or (method != "none" and settings.color_when == "after"):
        image = color.after(image, pictures.content, method, regions=pictures.regions)
    free = _free(pictures, settings)
    if free is not None:
        # The content shows through, to the bit where nothing may change.
        share, content = free[:, :, None], pictures.content
        image = np.where(share > 0, content + share * (image - content), content)
    return Result(image, progress.terms, progress.step, progress.is_finite)


def prepare(
    pictures: Pictures, weights: Weights, config: Config
) -> tuple[objective.Recipe, objective.Problem]:
    """The objective of a job: its formulas, and its arrays with the targets."""
    if not pictures.styles:
        raise RequestError("style must hold at least one picture, got none")
    if weights.network != config.network.network:
        raise RequestError(
            f"weights must be of {config.network.network}, got {weights.network}"
        )
    how = objective.recipe(config.objective, forward(config))
    for picture, name in (
        (pictures.content, "content"),
        *((style, "style") for style in pictures.styles),
    ):
        _check_size(picture, name, how)
    constants = (
        _params(weights, config.network),
        _preprocessing(weights, config.network),
    )
    content = jnp.asarray(pictures.content)
    kept = _content_targets(*constants, content, how.content_layers, how.forward)
    kept |= objective.edges(how, content)
    # Only the result tiles: round a style's borders lies no more of it.
    flat = how.forward._replace(wrap="none")
    statistics = [
        _style_statistics(
            *constants,
            jnp.asarray(style),
            _at_layers(masks_of_style, how.style_layers, flat),
            how.style_layers,
            flat,
            how.gram_division,
            how.statistics,
        )
        for style, masks_of_style in itertools.zip_longest(
            pictures.styles, pictures.style_regions
        )
    ]
    shares = _shares(pictures, config)
    goal = targets.Targets(
        kept, _style_targets(statistics, jnp.asarray(shares), how.statistics)
    )
    factors = objective.weights(config.objective, weights.network)
    maps = _maps(pictures, how, config.control)
    return how, objective.Problem(*constants, goal, factors, maps)


def _params(weights: Weights, settings: NetworkConfig) -> Params:
    """The network's numbers, turned where a program is known to turn them."""
    if not settings.transpose_kernels:
        return weights.params
    return {
        name: {**each, "kernel": each["kernel"].swapaxes(0, 1)}
        for name, each in weights.params.items()
    }


def _preprocessing(weights: Weights, settings: NetworkConfig) -> Preprocessing:
    """What the network is given: as it was trained, but for `input_scale`."""
    if not settings.input_scale:
        return weights.preprocessing
    return weights.preprocessing._replace(scale=jnp.float32(settings.input_scale))


def _shares(pictures: Pictures, config: Config) -> Float32[np.ndarray, "s r"]:
    """The weight of each style in the target of each region."""
    if pictures.shares:
        return np.asarray(pictures.shares, np.float32)
    shares, styles = config.objective.style_weights, len(pictures.styles)
    if len(shares) not in (1, styles):
        raise RequestError(
            f"style_weights must have one value for each of the {styles} styles, "
            f"got {len(shares)}"
        )
    whole = np.asarray(shares * styles if len(shares) == 1 else shares, np.float32)
    regions = 1 if pictures.regions is None else pictures.regions.shape[2]
    return np.repeat((whole / whole.sum())[:, None], regions, axis=1)


def _maps(
    pictures: Pictures, how: objective.Recipe, settings: ControlConfig
) -> objective.Maps:
    """Where each term of the objective looks."""
    protected = {}
    if pictures.protect is not None:
        found = _at_layers(
            pictures.protect[:, :, None], how.content_layers, how.forward
        )
        extra = settings.protect_weight - 1
        protected = {name: 1 + extra * mask[..., 0] for name, mask in found.items()}
    free, emphasis = _free(pictures, settings), _emphasis(pictures, settings)
    return objective.Maps(
        regions=_at_layers(_painted(pictures), how.style_layers, how.forward),
        region_weights=jnp.asarray(emphasis / len(emphasis), jnp.float32),
        content=protected,
        fill=None
        if free is None
        else objective.Fill(jnp.asarray(pictures.content), jnp.asarray(free)),
    )


def _painted(pictures: Pictures) -> Masks | None:
    """Where each region has its style: with a fill only inside it.

    What stays outside would else have to be made up for within.
    """
    if pictures.fill is None:
        return pictures.regions
    fill = pictures.fill[:, :, None]
    return fill if pictures.regions is None else fill * pictures.regions


def _emphasis(pictures: Pictures, settings: ControlConfig) -> Float32[np.ndarray, "r"]:
    """The weight of each region's style."""
    count = 1 if pictures.regions is None else pictures.regions.shape[2]
    weights = settings.region_weights
    if len(weights) not in (1, count):
        raise RequestError(
            f"region_weights must have one value for each of the {count} regions, got "
            f"{len(weights)}"
        )
    return np.asarray(weights * count if len(weights) == 1 else weights, np.float32)


def _free(pictures: Pictures, settings: ControlConfig) -> Mask | None:
    """Where the image may move: in the fill, and not in regions without a style."""
    mask = pictures.fill
    idle = _emphasis(pictures, settings) == 0
    if pictures.regions is not None and idle.any():
        moving = np.clip(1 - pictures.regions[:, :, idle].sum(2), 0, 1)
        mask = moving if mask is None else mask * moving
    return mask


def _at_layers(
    regions: Masks | None, names: tuple[str, ...], forward: vgg.Forward
) -> RegionMaps:
    """Masks at the positions of each layer; nothing without masks."""
    if regions is None:
        return {}
    rows = {layer.name: layer for layer in layers.table(forward.network)}
    mask = jnp.asarray(regions)
    return {
        name: masks.at_layer(
            mask, rows[name].stride, forward.pool_rounding, forward.wrap
        )
        for name in names
    }


def forward(config: Config) -> vgg.Forward:
    """How the network is run; a precision left open is that of the current device."""
    settings = config.network
    asked = settings.precision
    return vgg.Forward(
        network=settings.network,
        pooling=settings.pooling,
        pool_rounding=settings.pool_rounding,
        pool_scale=settings.pool_scale,
        padding=settings.padding,
        wrap=config.control.wrap,
        precision=devices.precision(asked, devices.current())
        if asked == "auto"
        else asked,
    )


def solver(
    how: objective.Recipe, settings: OptimizerConfig, keep: solve.Keep, decay: float
) -> solve.Solver:
    """The compiled loop; kept, so that further jobs of one shape compile nothing.

    The state that it starts from has a rate of its own: see `optimizers.at_rate`.
    """
    return _solver(how, optimizers.compiled(settings), keep, decay)


@functools.lru_cache(maxsize=16)
def _solver(
    how: objective.Recipe, settings: OptimizerConfig, keep: solve.Keep, decay: float
) -> solve.Solver:
    return solve.make(_objective(how), optimizers.make(settings), keep, decay)


@functools.lru_cache(maxsize=16)
def _objective(how: objective.Recipe) -> solve.ObjectiveFn:
    """The compiled terms, which all optimisers share."""
    return jax.jit(functools.partial(objective.terms, how))


def _balanced(
    how: objective.Recipe, problem: objective.Problem, here: Pictures, config: Config
) -> objective.Problem:
    """The problem with weights for these pictures and the strength that is asked."""
    content = jnp.asarray(here.content)
    shares = _shares(here, config).mean(axis=1)
    disorder = balance.disorder(here.styles, shares, here.content.shape[:2])
    return balance.balanced(
        _objective(how),
        problem,
        content,
        jnp.asarray(disorder),
        config.objective.strength,
    )


def _start(here: Pictures, problem: objective.Problem, config: Config) -> Image:
    """The image that the first step starts from."""
    if here.initial is None:
        return first_image(config.inputs, jnp.asarray(here.content), problem)
    return jnp.asarray(here.initial)


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


def _least_side(config: Config) -> int:
    """Rows and columns that the deepest layer in use needs."""
    return layers.least_side(config.used_layers(), config.network.network)


def _check_size(picture: np.ndarray, name: str, how: objective.Recipe) -> None:
    used = (*how.content_layers, *how.style_layers)
    least = layers.least_side(used, how.forward.network)
    if min(picture.shape[:2]) < least:
        raise RequestError(
            f"{name} must be rows x columns x 3 with at least {least} rows and "
            f"columns, got {' x '.join(map(str, picture.shape))}"
        )


def _picture(picture: Picture, name: str) -> Float32[np.ndarray, "_ _ 3"]:
    """The picture as float32 in memory, if its numbers are those of an image."""
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
