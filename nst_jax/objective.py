"""The weighted sum that is minimised, as `finish` of `parts`.

`parts` gathers sums over the positions of a picture, which add up over tiles;
`finish` turns the sums into weighted terms, once. A new loss is a formula in
`losses` (or `moments`), a setting in `config`, a line in `parts` and one in
`finish`.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax import (
    config,
    layers,
    losses,
    mesh,
    moments,
    targets,
    tiles,
    vgg,
    windows,
)
from nst_jax.arrays import (
    FeatureMaps,
    Features,
    Image,
    LossTerms,
    Moments,
    Params,
    Preprocessing,
    RegionMaps,
    Style,
)

# The one content term that looks at the image itself and not at a layer.
EDGES = "laplacian"


class Recipe(NamedTuple):
    """The static half of an objective: which formulas, of which layers."""

    forward: vgg.Forward
    content_layers: tuple[str, ...]
    content_loss: losses.ContentForm
    laplacian_pool: int | None
    style_layers: tuple[str, ...]
    style_losses: tuple[tuple[str, float], ...]
    root_steps: int
    gram_division: moments.Division
    style_reduction: losses.StyleReduction
    tv_loss: losses.VariationForm | None
    tv_range: float
    plan: tiles.Plan = ()
    layout: mesh.Layout | None = None

    @property
    def statistics(self) -> tuple[str, ...]:
        """The names of the style losses."""
        return tuple(name for name, _ in self.style_losses)


class Fill(NamedTuple):
    """A picture that shows through wherever the mask is not 1."""

    beneath: Image
    mask: Float[Array, "h w"]


class Maps(NamedTuple):
    """Where each term looks; empty or None: everywhere alike."""

    regions: RegionMaps  # by style layer
    # By style layer; divided by how many regions there are.
    region_weights: dict[str, Float[Array, "r"]]
    content: dict[str, Float[Array, "_h _w"]]  # by content layer
    fill: Fill | None


class Problem(NamedTuple):
    """The arrays an objective is made of: the jitted step takes them as arguments."""

    params: Params
    preprocessing: Preprocessing
    targets: targets.Targets
    weights: LossTerms  # the factor of each term
    maps: Maps


_ALONG: Any = True  # the picture's rows
_ELSE: Any = False
# Which of a problem's arrays lie along them, and are shared out as they are.
LIES = Problem(
    params=_ELSE,
    preprocessing=_ELSE,
    targets=targets.Targets(content=_ALONG, style=_ELSE),
    weights=_ELSE,
    maps=Maps(regions=_ALONG, region_weights=_ELSE, content=_ALONG, fill=_ELSE),
)


class LayerSums(NamedTuple):
    """Sums over the positions of one layer, as far as it is looked at."""

    content: Float[Array, "2"] | None
    style: Moments | None


class Parts(NamedTuple):
    """Sums over positions, from which `finish` makes the terms."""

    content: dict[str, Float[Array, "2"]]
    style: dict[str, Moments]
    tv: Float[Array, "2"] | None


def recipe(
    settings: config.ObjectiveConfig,
    forward: vgg.Forward,
    plan: tiles.Plan = (),
    layout: mesh.Layout | None = None,
) -> Recipe:
    """The static half of an objective; what has no weight is not computed."""
    factors = _factors(settings, forward.network)
    edges = factors.content.pop(EDGES, 0)
    return Recipe(
        forward=forward,
        content_layers=tuple(name for name, w in factors.content.items() if w),
        content_loss=settings.content_loss,
        laplacian_pool=settings.laplacian_pool if edges else None,
        style_layers=tuple(name for name, w in factors.style.items() if w),
        style_losses=tuple((n, w) for n, w in settings.style_losses().items() if w),
        root_steps=settings.root_steps,
        gram_division=settings.gram_division,
        style_reduction=settings.style_reduction,
        tv_loss=settings.tv_loss if factors.tv else None,
        tv_range=settings.tv_range,
        plan=plan,
        layout=layout,
    )


def weights(settings: config.ObjectiveConfig, network: layers.Network) -> LossTerms:
    """The factor of every term, in the shape of the terms themselves."""
    arrays: LossTerms = jax.tree.map(jnp.float32, _factors(settings, network))
    return arrays


def _factors(settings: config.ObjectiveConfig, network: layers.Network) -> Any:
    """The same as plain numbers."""
    content = layers.weighted(settings.content_layers, network)
    style = settings.style_layer_weights(network)
    edges = {EDGES: settings.laplacian_weight} if settings.laplacian_weight else {}
    numbers: Any = (
        {
            **{name: settings.content_weight * w for name, w in content.items()},
            **edges,
        },
        {name: settings.style_weight * weight for name, weight in style.items()},
        settings.tv_weight,
    )
    return LossTerms(*numbers)


def edges(how: Recipe, image: Image) -> FeatureMaps:
    """The edges of an image, if they are compared."""
    if how.laplacian_pool is None:
        return {}
    seen = losses.laplacian(picture(how, image), how.laplacian_pool)
    return {EDGES: how.tv_range * seen}


def picture(how: Recipe, canvas: Image) -> Image:
    """The picture on a canvas that devices share; without them they are the same."""
    return canvas[: how.layout.rows] if how.layout else canvas


def parts(how: Recipe, problem: Problem, image: Image) -> Parts:
    """The sums over a picture's positions."""
    names = tuple(dict.fromkeys((*how.content_layers, *how.style_layers)))
    gather = functools.partial(_gathered, how)
    goal = {name: problem.targets.content[name] for name in how.content_layers}
    seen = problem._replace(
        targets=problem.targets._replace(content=goal),
        maps=problem.maps._replace(fill=None),
    )
    sums, _ = windows.walk(
        *(seen, image, names, how.forward, how.plan, gather),
        layout=how.layout,
        lies=LIES,
    )
    content = {name: sums[name].content for name in how.content_layers}
    for name, outline in edges(how, image).items():
        target = problem.targets.content[name]
        content[name] = losses.differences(outline, target, "mean")
    return Parts(
        content=content,
        style={name: sums[name].style for name in how.style_layers},
        tv=losses.variations(
            picture(how, image), how.tv_loss, how.tv_range, how.forward.wrap
        )
        if how.tv_loss
        else None,
    )


def _gathered(
    how: Recipe, problem: Problem, found: FeatureMaps, place: windows.Place | None
) -> dict[str, LayerSums]:
    """The sums at layers of the whole, or of a window over what it owns."""
    means = {name: style.mean for name, style in problem.targets.style.items()}
    regions = problem.maps.regions
    return {
        name: LayerSums(
            _content(how, problem, features, name, place)
            if name in how.content_layers
            else None,
            targets.sums(features, regions.get(name), means[name], name, place)
            if name in how.style_layers
            else None,
        )
        for name, features in found.items()
    }


def _content(
    how: Recipe,
    problem: Problem,
    features: Features,
    name: str,
    place: windows.Place | None,
) -> Float[Array, "2"]:
    """The sums of one layer's content term."""
    goal, weight = problem.targets.content[name], problem.maps.content.get(name)
    if place is not None:
        inside = place.inside(features, name)
        goal = place.cut(goal, features, name)
        weight = (
            inside if weight is None else inside * place.cut(weight, features, name)
        )
    return losses.differences(features, goal, how.content_loss, weight)


def finish(
    how: Recipe, problem: Problem, sums: Parts, shape: tuple[int, ...]
) -> LossTerms:
    """The weighted terms, from the sums over a whole picture of `shape` h w c."""
    goal, weight, nothing = problem.targets, problem.weights, jnp.float32(0)
    content = {
        name: losses.content(
            each,
            _size(how, name, goal.content[name]),
            "mean" if name == EDGES else how.content_loss,
        )
        for name, each in sums.content.items()
    }
    pixels = shape[0] * shape[1]
    style = {
        name: jnp.sum(
            problem.maps.region_weights[name]
            * _style(how, sums.style[name], goal.style[name], pixels)
        )
        for name in how.style_layers
    }
    variation = (
        losses.total_variation(sums.tv, shape, how.tv_loss, how.forward.wrap)
        if sums.tv is not None and how.tv_loss
        else nothing
    )
    return LossTerms(
        content={n: w * content.get(n, nothing) for n, w in weight.content.items()},
        style={n: w * style.get(n, nothing) for n, w in weight.style.items()},
        tv=weight.tv * variation,
    )


def _size(how: Recipe, name: str, goal: Features) -> int:
    """How many numbers a content layer has, without those of a canvas."""
    if name == EDGES or how.layout is None or not how.layout.share:
        return goal.size
    stride = layers.stride((name,), how.forward.network)
    rows = tiles.positions(how.layout.rows, stride, how.forward.pool_rounding)
    return rows * goal.shape[1] * goal.shape[2]


def _style(how: Recipe, sums: Moments, target: Style, pixels: int) -> Float[Array, "r"]:
    """The style loss of one layer in each region."""
    total = jnp.zeros_like(sums.weight)
    for name, weight in how.style_losses:
        total = total + weight * _style_loss(name, how, sums, target, pixels)
    return total


def _style_loss(
    name: str, how: Recipe, sums: Moments, target: Any, pixels: int
) -> Float[Array, "r"]:
    match name:
        case "gram":
            gram = moments.gram_matrix(sums, how.gram_division, target.mean)
            return losses.style(gram, target.gram, how.style_reduction, pixels)
        case "covariance":
            spread = moments.covariance(sums)
            return losses.style(spread, target.covariance, how.style_reduction, pixels)
    about = (moments.mean(sums, target.mean), moments.covariance(sums))
    goal = (target.mean, target.covariance)
    if name == "mean_std":
        return losses.mean_std(*about, *goal)
    return losses.wasserstein(*about, *goal, target.root, how.root_steps)


def composed(problem: Problem, image: Image) -> Image:
    """The image as it is seen: where something must stay, that shows through."""
    fill = problem.maps.fill
    if fill is None:
        return image
    return fill.beneath + fill.mask[:, :, None] * (image - fill.beneath)


def terms(how: Recipe, problem: Problem, image: Image) -> LossTerms:
    """The weighted terms of the objective at an image."""
    seen = composed(problem, image)
    shape = picture(how, image).shape
    return finish(how, problem, parts(how, problem, seen), shape)
