"""The weighted sum that is minimised, as `finish` of `parts`.

`parts` gathers sums over the positions of a picture, which add up over tiles;
`finish` turns the sums into weighted terms, once. A new loss is a formula in
`losses` (or `moments`), a setting in `config`, a line in `parts` and one in
`finish`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax import config, layers, losses, moments, vgg
from nst_jax.arrays import (
    Image,
    LossTerms,
    Moments,
    Params,
    Preprocessing,
    Scalar,
)
from nst_jax.targets import Targets


class Recipe(NamedTuple):
    """The static half of an objective: which formulas, of which layers."""

    forward: vgg.Forward
    content_layers: tuple[str, ...]
    content_loss: losses.ContentForm
    style_layers: tuple[str, ...]
    gram_division: moments.Division
    style_reduction: losses.StyleReduction
    tv_loss: losses.VariationForm | None
    tv_range: float


class Problem(NamedTuple):
    """The arrays an objective is made of: the jitted step takes them as arguments."""

    params: Params
    preprocessing: Preprocessing
    targets: Targets
    weights: LossTerms  # the factor of each term


class Parts(NamedTuple):
    """Sums over positions, from which `finish` makes the terms."""

    content: dict[str, Scalar]
    style: dict[str, Moments]
    tv: Float[Array, "2"] | None


def recipe(settings: config.ObjectiveConfig, forward: vgg.Forward) -> Recipe:
    """The static half of an objective; what has no weight is not computed."""
    factors = _factors(settings, forward.network)
    return Recipe(
        forward=forward,
        content_layers=tuple(name for name, w in factors.content.items() if w),
        content_loss=settings.content_loss,
        style_layers=tuple(name for name, w in factors.style.items() if w),
        gram_division=settings.gram_division,
        style_reduction=settings.style_reduction,
        tv_loss=settings.tv_loss if factors.tv else None,
        tv_range=settings.tv_range,
    )


def weights(settings: config.ObjectiveConfig, network: layers.Network) -> LossTerms:
    """The factor of every term, in the shape of the terms themselves."""
    arrays: LossTerms = jax.tree.map(jnp.float32, _factors(settings, network))
    return arrays


def _factors(settings: config.ObjectiveConfig, network: layers.Network) -> Any:
    """The same as plain numbers."""
    content = layers.weighted(settings.content_layers, network)
    style = layers.weighted(settings.style_layers, network)
    numbers: Any = (
        {name: settings.content_weight * weight for name, weight in content.items()},
        {name: settings.style_weight * weight for name, weight in style.items()},
        settings.tv_weight,
    )
    return LossTerms(*numbers)


def parts(how: Recipe, problem: Problem, image: Image) -> Parts:
    """The sums over a picture's positions."""
    names = tuple(dict.fromkeys((*how.content_layers, *how.style_layers)))
    found = vgg.features(
        problem.params, problem.preprocessing, image, names, how.forward
    )
    targets = problem.targets.content
    return Parts(
        content={
            name: losses.squared_difference(found[name], targets[name])
            for name in how.content_layers
        },
        style={name: moments.moments(found[name]) for name in how.style_layers},
        tv=losses.variations(image, how.tv_loss, how.tv_range) if how.tv_loss else None,
    )


def finish(
    how: Recipe, problem: Problem, sums: Parts, shape: tuple[int, ...]
) -> LossTerms:
    """The weighted terms, from the sums over a whole picture of `shape` h w c."""
    goal, weight, nothing = problem.targets, problem.weights, jnp.float32(0)
    content = {
        name: losses.content(squares, goal.content[name].size, how.content_loss)
        for name, squares in sums.content.items()
    }
    style = {
        name: losses.style(
            moments.gram_matrix(sums.style[name], how.gram_division),
            goal.style[name],
            how.style_reduction,
            shape[0] * shape[1],
        )
        for name in how.style_layers
    }
    variation = (
        losses.total_variation(sums.tv, shape, how.tv_loss)
        if sums.tv is not None and how.tv_loss
        else nothing
    )
    return LossTerms(
        content={n: w * content.get(n, nothing) for n, w in weight.content.items()},
        style={n: w * style.get(n, nothing) for n, w in weight.style.items()},
        tv=weight.tv * variation,
    )


def terms(how: Recipe, problem: Problem, image: Image) -> LossTerms:
    """The weighted terms of the objective at an image."""
    return finish(how, problem, parts(how, problem, image), image.shape)
