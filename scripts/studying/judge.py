"""What is measured of a picture, whatever made it: numbers without a unit."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32

from nst_jax import layers, objective, prepare, quality
from nst_jax.config import Config
from nst_jax.pictures import Pictures
from studying import work

Picture = Float32[np.ndarray, "_ _ 3"]


class Measured(NamedTuple):
    """A picture beside its content and its style.

    Of the last three 0 is nearest: `content` and `gram` are those of nst_jax.quality,
    `wasserstein` is the loss of that name over what it is at the content.
    """

    ssim: float
    psnr: float
    content: float
    gram: float | None  # there is one style to compare with, or none
    wasserstein: float


def measure(
    pictures: Pictures, results: Mapping[str, Picture], config: Config
) -> dict[str, Measured]:
    """Every result, seen by the network of the settings."""
    goal, network = config.objective, config.network.network
    loaded = work.weights(config.network, config.inputs.seed)
    look = quality.Look(
        loaded,
        prepare.forward(config),
        tuple(layers.weighted(goal.content_layers, network)),
        tuple(layers.weighted(goal.style_layers, network)),
    )
    seen = prepare.coloured(pictures, config.control)
    style = seen.styles[0] if len(seen.styles) == 1 else None
    rows = quality.compare(pictures.content, results, look, style=style)
    apart = _wasserstein(seen, config)
    far = apart(pictures.content)
    return {
        name: Measured(
            row.ssim,
            row.psnr,
            row.content,
            row.style,
            _share(apart(results[name]), far),
        )
        for name, row in rows.items()
    }


def _share(found: Mapping[str, float], far: Mapping[str, float]) -> float:
    """The mean over layers of a loss over what it is far away."""
    return float(np.mean([found[name] / value for name, value in far.items() if value]))


def _wasserstein(
    pictures: Pictures, config: Config
) -> Callable[[Picture], dict[str, float]]:
    """The Wasserstein loss of every style layer, as a function of a picture."""
    goal = dataclasses.replace(
        config.objective,
        style_weight=1.0,
        style_loss=("wasserstein",),
        content_weight=0.0,
        tv_weight=0.0,
        laplacian_weight=0.0,
    )
    config = dataclasses.replace(config, objective=goal)
    loaded = work.weights(config.network, config.inputs.seed)
    how, problem = prepare.problem(pictures, loaded, config)

    def apart(image: Picture) -> dict[str, float]:
        found = jax.device_get(_terms(how)(problem, jnp.asarray(image)))
        return {name: float(value) for name, value in found.style.items()}

    return apart


@functools.lru_cache(maxsize=16)
def _terms(how: objective.Recipe) -> jax.stages.Wrapped:
    return jax.jit(functools.partial(objective.terms, how))
