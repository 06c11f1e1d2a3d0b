"""From pictures to a problem: formulas, targets, and maps of where each term looks."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from nst_jax import (
    color,
    devices,
    guides,
    layers,
    memory,
    mesh,
    objective,
    targets,
    vgg,
)
from nst_jax.arrays import Params, Preprocessing, Weights
from nst_jax.config import Config, ControlConfig, NetworkConfig
from nst_jax.errors import RequestError
from nst_jax.pictures import Pictures

# Pixels below which a job is over before Winograd's transforms have compiled.
_WORTHWHILE = 128 * 128

_content_targets = jax.jit(
    targets.content_targets, static_argnames=("names", "forward", "plan", "layout")
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
    layout = how.layout
    content = mesh.laid(layout, pictures.content)
    params, preprocessing = constants(weights, config.network)
    if how.forward.precision == "mixed":
        # Spread factors of 8 bits are other numbers: they are to be compared alike.
        params = _fast(params, how, math.prod(pictures.content.shape[:2]))
    given = params, preprocessing
    kept = _content_targets(
        *mesh.replicated(layout, given),
        *(content, how.content_layers, how.forward, how.plan, layout),
    )
    kept |= objective.edges(how, content)
    # Only the result tiles: round a style's borders lies no more of it.
    flat = how.forward._replace(wrap="none")
    statistics = [
        _style_statistics(
            *given,
            jnp.asarray(style),
            guides.at_layers(masks_of_style, how.style_layers, flat),
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
    parts, emphasis = guides.by_layer(pictures, config, how.style_layers)
    goal = targets.Targets(
        kept, _style_targets(statistics, parts, how.statistics, how.root_steps)
    )
    factors = objective.weights(config.objective, weights.network)
    with mesh.aside(layout):
        maps = guides.maps(pictures, how, config.control, emphasis)
    return how, _laid(how, objective.Problem(*given, goal, factors, maps))


def _laid(how: objective.Recipe, whole: objective.Problem) -> objective.Problem:
    """The problem on its devices, where there are several."""
    layout, maps = how.layout, whole.maps
    if layout is None:
        return whole

    def along(found: dict[str, Array]) -> dict[str, Array]:
        network = how.forward.network
        strides = {name: layers.stride((name,), network) for name in found}
        return {n: mesh.laid(layout, each, strides[n]) for n, each in found.items()}

    fill = maps.fill and objective.Fill(*(mesh.laid(layout, m) for m in maps.fill))
    # The content's features lie there already; only its edges are whole.
    kept = {
        name: mesh.settled(layout, each) for name, each in whole.targets.content.items()
    }
    style, region_weights = whole.targets.style, maps.region_weights
    params, seen, style, weights, region_weights = mesh.replicated(
        layout,
        (whole.params, whole.preprocessing, style, whole.weights, region_weights),
    )
    return objective.Problem(
        params,
        seen,
        targets.Targets(kept, style),
        weights,
        objective.Maps(along(maps.regions), region_weights, along(maps.content), fill),
    )


def recipe(config: Config, shape: tuple[int, int]) -> objective.Recipe:
    """The formulas of a job, and the windows for a picture of this shape."""
    how = forward(config)
    given = shape, config, how
    return objective.recipe(
        config.objective, how, memory.plan(*given), memory.layout(*given)
    )


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
