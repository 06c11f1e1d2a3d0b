"""From pictures to a problem: formulas, targets, and maps of where each term looks."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32

from nst_jax import color, devices, layers, masks, memory, objective, targets, vgg
from nst_jax.arrays import Params, Preprocessing, RegionMaps, Weights
from nst_jax.config import Config, ControlConfig, NetworkConfig
from nst_jax.errors import RequestError
from nst_jax.pictures import Pictures

Mask = Float32[np.ndarray, "_ _"]
Masks = Float32[np.ndarray, "_ _ _"]

# Pixels below which a job is over before Winograd's transforms have compiled.
_WORTHWHILE = 128 * 128

_content_targets = jax.jit(
    targets.content_targets, static_argnames=("names", "forward", "plan")
)
_style_statistics = jax.jit(
    targets.style_statistics,
    static_argnames=("names", "forward", "division", "statistics", "plan"),
)
_spread = jax.jit(vgg.spread, static_argnames=("names", "precision"))
_style_targets = jax.jit(
    targets.style_targets, static_argnames=("statistics", "root_steps")
)


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


def problem(
    pictures: Pictures, weights: Weights, config: Config
) -> tuple[objective.Recipe, objective.Problem]:
    """The objective of a job: its formulas, and its arrays with the targets."""
    if weights.network != config.network.network:
        raise RequestError(
            f"--weights must be of {config.network.network}, got {weights.network}"
        )
    how = recipe(config, pictures.content.shape[:2])
    _check(pictures, how)
    config.objective.check_styles(len(pictures.styles))
    content = jnp.asarray(pictures.content)
    params, preprocessing = constants(weights, config.network)
    if how.forward.precision == "mixed":
        # Spread factors of 8 bits are other numbers: they are to be compared alike.
        params = _fast(params, how, math.prod(pictures.content.shape[:2]))
    given = params, preprocessing
    kept = _content_targets(*given, content, how.content_layers, how.forward, how.plan)
    kept |= objective.edges(how, content)
    # Only the result tiles: round a style's borders lies no more of it.
    flat = how.forward._replace(wrap="none")
    statistics = [
        _style_statistics(
            *given,
            jnp.asarray(style),
            _at_layers(masks_of_style, how.style_layers, flat),
            how.style_layers,
            flat,
            how.gram_division,
            how.statistics,
            memory.style_plan(style.shape[:2], config, flat),
        )
        for style, masks_of_style in itertools.zip_longest(
            pictures.styles, pictures.style_regions
        )
    ]
    parts, emphasis = _by_layer(pictures, config, how.style_layers)
    goal = targets.Targets(
        kept, _style_targets(statistics, parts, how.statistics, how.root_steps)
    )
    factors = objective.weights(config.objective, weights.network)
    maps = _maps(pictures, how, config.control, emphasis)
    return how, objective.Problem(*given, goal, factors, maps)


def recipe(config: Config, shape: tuple[int, int]) -> objective.Recipe:
    """The formulas of a job, and the windows for a picture of this shape."""
    how = forward(config)
    plan = memory.plan(shape, config, how)
    return objective.recipe(config.objective, how, plan)


def constants(
    weights: Weights, settings: NetworkConfig
) -> tuple[Params, Preprocessing]:
    """The network's numbers and what it is given, as the settings want them."""
    return _params(weights, settings), _preprocessing(weights, settings)


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


def shares(pictures: Pictures, config: Config) -> Float32[np.ndarray, "s r"]:
    """The weight of each style in the target of each region."""
    if pictures.shares:
        return np.asarray(pictures.shares, np.float32)
    asked, styles = config.objective.style_weights, len(pictures.styles)
    whole = np.asarray(asked * styles if len(asked) == 1 else asked, np.float32)
    regions = 1 if pictures.regions is None else pictures.regions.shape[2]
    return np.repeat((whole / whole.sum())[:, None], regions, axis=1)


def _by_layer(
    pictures: Pictures, config: Config, names: tuple[str, ...]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """The shares of the styles at each layer, `s r`, and the regions' weights, `r`.

    Where styles have weights of their own at a layer, its term is the sum of their
    terms, each by share and weight. For squared distances that is, but for a
    constant, the distance to one mixture with the sum of the factors.
    """
    goal, network = config.objective, config.network.network
    whole = shares(pictures, config)
    emphasis = _emphasis(pictures, config.control)
    emphasis = emphasis / len(emphasis)
    each = layers.weighted_each(goal.style_layers, network)
    together = goal.style_layer_weights(network)
    parts, weights = dict.fromkeys(names, whole), dict.fromkeys(names, emphasis)
    for name in names:
        if len(set(each[name])) > 1:
            brought = whole * np.asarray(each[name])[:, None]
            sums = brought.sum(0)
            # Without a style here a region keeps its target, and has no weight.
            mixed = np.where(sums > 0, brought / np.where(sums > 0, sums, 1), whole)
            parts[name] = mixed.astype(np.float32)
            weights[name] = (emphasis * sums / together[name]).astype(np.float32)
    return jax.tree.map(jnp.asarray, (parts, weights))


def _maps(
    pictures: Pictures,
    how: objective.Recipe,
    settings: ControlConfig,
    region_weights: dict[str, Array],
) -> objective.Maps:
    """Where each term of the objective looks."""
    protected = {}
    if pictures.protect is not None:
        found = _at_layers(
            pictures.protect[:, :, None], how.content_layers, how.forward
        )
        extra = settings.protect_weight - 1
        protected = {name: 1 + extra * mask[..., 0] for name, mask in found.items()}
    moving = free(pictures, settings)
    return objective.Maps(
        regions=_at_layers(_painted(pictures), how.style_layers, how.forward),
        region_weights=region_weights,
        content=protected,
        fill=None
        if moving is None
        else objective.Fill(jnp.asarray(pictures.content), jnp.asarray(moving)),
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
            f"--region_weights must have one value for each of the {count} regions, "
            f"got {len(weights)}"
        )
    return np.asarray(weights * count if len(weights) == 1 else weights, np.float32)


def free(pictures: Pictures, settings: ControlConfig) -> Mask | None:
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
        products=devices.convolution(settings.convolution, devices.current()),
    )


def ready(
    problem: objective.Problem, how: objective.Recipe, pixels: int
) -> objective.Problem:
    """The same problem as a loop over images of so many pixels takes it.

    Its kernels are spread where that is faster. What runs once is better left with
    the kernels as they are: it compiles faster.
    """
    return problem._replace(params=_fast(problem.params, how, pixels))


def _fast(params: Params, how: objective.Recipe, pixels: int) -> Params:
    names = (*how.content_layers, *how.style_layers)
    if how.forward.products == "direct" or not names or pixels < _WORTHWHILE:
        return params
    if how.plan:
        pixels = math.prod(how.plan[0].window)
    worth = vgg.worth_spreading(names, how.forward.network, pixels)
    slow = {name: params[name] for name in worth if "kernel" in params[name]}
    return params | _spread(slow, tuple(slow), how.forward.precision)


def _check(pictures: Pictures, how: objective.Recipe) -> None:
    """Raises unless there is something to look at everywhere."""
    if not pictures.styles:
        raise RequestError("style must hold at least one picture, got none")
    used = (*how.content_layers, *how.style_layers)
    least = layers.least_side(used, how.forward.network)
    # Its edges are looked for in windows, of which three each way are needed.
    _check_size(pictures.content, "content", max(least, 3 * (how.laplacian_pool or 0)))
    for style in pictures.styles:
        _check_size(style, "style", least)
    found = [masks.shape[2] for masks in pictures.style_regions]
    count = 1 if pictures.regions is None else pictures.regions.shape[2]
    if found and found != [count] * len(pictures.styles):
        raise RequestError(
            f"style_regions must be masks of the content's {count} regions for each of "
            f"the {len(pictures.styles)} styles, got {found}"
        )


def _check_size(picture: np.ndarray, name: str, least: int) -> None:
    if min(picture.shape[:2]) < least:
        raise RequestError(
            f"{name} must be rows x columns x 3 with at least {least} rows and "
            f"columns, got {' x '.join(map(str, picture.shape))}"
        )
