"""What one can ask of a network, arrays to arrays: features, filters, reconstructions.

Knows neither flags nor files; `exhibits` reads, draws and writes.
"""

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32

from nst_jax import (
    devices,
    job,
    layers,
    metrics,
    objective,
    prepare,
    progress,
    transfer,
    vgg,
)
from nst_jax.arrays import LossTerms, Weights
from nst_jax.config import Config, ObjectiveConfig
from nst_jax.pictures import Pictures

Picture = Float32[np.ndarray, "_ _ 3"]
Shape = tuple[int, int]

_features = jax.jit(vgg.features, static_argnames=("names", "forward"))


class Term(NamedTuple):
    """One term of the objective at a picture."""

    name: str  # as in the metrics of a run
    value: float  # weighted, as it enters the total
    weight: float


@contextmanager
def network(config: Config) -> Iterator[tuple[Config, Weights]]:
    """The settings as they are on their device, and the weights, there."""
    with networks(config.output.device) as settled:
        yield settled(config)


@contextmanager
def networks(device: str) -> Iterator[Callable[[Config], tuple[Config, Weights]]]:
    """A function that gives settings as they are on that device, and the weights.

    Whatever is asked, each network is loaded once.
    """
    chosen = devices.pick(device)
    loaded: dict[tuple[str, str, int], Weights] = {}
    warning = devices.warning(chosen)
    if warning:
        progress.warn(warning)

    def settled(config: Config) -> tuple[Config, Weights]:
        config = job.resolve(config, chosen)
        settings = config.network
        seed = config.inputs.seed if settings.weights == "random" else 0
        key = (settings.network, settings.weights, seed)
        if key not in loaded:
            loaded[key] = job.load(config)
        return config, loaded[key]

    with jax.default_device(chosen):
        yield settled


def features(
    image: Picture, names: tuple[str, ...], weights: Weights, config: Config
) -> dict[str, Float32[np.ndarray, "_ _ _"]]:
    """What the named layers make of an image: rows x columns x channels."""
    found = _features(
        *prepare.constants(weights, config.network),
        jnp.asarray(image),
        names=names,
        forward=prepare.forward(config),
    )
    return {name: np.asarray(maps) for name, maps in found.items()}


def filters(weights: Weights) -> list[Float32[np.ndarray, "3 3 3"]]:
    """The first layer's kernels as colours, all in one range: grey is a weight of 0.

    A filter answers most to what looks like its kernel.
    """
    kernels = np.asarray(weights.params["conv1_1"]["kernel"])
    scaled = 0.5 + 0.5 * kernels / np.abs(kernels).max()
    return [*np.moveaxis(scaled, 3, 0)]


def content_of(
    image: Picture, layer: str, weights: Weights, config: Config
) -> transfer.Result:
    """A picture from noise that the layer can hardly tell from the image.

    Mahendran and Vedaldi (2015); the lower row of Gatys et al. (2015), figure 1. The
    loss is 1 at the noise, much as theirs is relative to the size of the features, so
    that the total variation counts alike at every layer.
    """
    goal = dataclasses.replace(
        config.objective,
        content_layers=(layer,),
        content_weight=1.0,
        style_weight=0.0,
        laplacian_weight=0.0,
        balance="none",
        strength=-1.0,
    )
    first = _made(image, weights, config, goal, steps=0).terms
    entries = _balanced({layer: 1.0}, first.content if first else {})
    goal = dataclasses.replace(goal, content_layers=entries)
    return _made(image, weights, config, goal, config.solve.steps)


def style_of(
    image: Picture, entries: tuple[str, ...], weights: Weights, config: Config
) -> transfer.Result:
    """A texture from noise with the image's statistics in the named layers.

    The upper row of Gatys et al. (2015), figure 1. Their network was rescaled so that
    features are of one size at all layers; here the layers' terms stand as their
    weights do at the noise, and are 1 together. There is no total variation: grain
    is part of a texture.
    """
    shares = layers.weighted(entries, config.network.network)
    goal = dataclasses.replace(
        config.objective,
        style_layers=tuple(shares),
        content_weight=0.0,
        style_weight=1.0,
        tv_weight=0.0,
        laplacian_weight=0.0,
        balance="none",
        strength=-1.0,
    )
    first = _made(image, weights, config, goal, steps=0).terms
    balanced = _balanced(shares, first.style if first else {})
    goal = dataclasses.replace(goal, style_layers=balanced)
    return _made(image, weights, config, goal, config.solve.steps)


def _balanced(
    shares: Mapping[str, float], losses: Mapping[str, Any]
) -> tuple[str, ...]:
    """The layers with weights that give each loss its share of a sum of 1."""
    whole = sum(shares.values())
    return tuple(
        f"{name}:{share / whole / float(losses[name])!r}"
        for name, share in shares.items()
    )


def _made(
    image: Picture,
    weights: Weights,
    config: Config,
    goal: ObjectiveConfig,
    steps: int,
) -> transfer.Result:
    whole = dataclasses.replace(
        config,
        inputs=dataclasses.replace(config.inputs, init="noise"),
        objective=goal,
        solve=dataclasses.replace(config.solve, steps=steps),
    )
    return transfer.stylize(image, image, weights, whole)


def painted(
    pictures: Mapping[Shape, Pictures],
    weights: Weights,
    config: Config,
    stopped: Callable[[], object],
) -> transfer.Result:
    """The result of a run, or where it was when `stopped` became true.

    `pictures` are those at each scale, from coarse to fine.
    """
    steps = transfer.steps(
        pictures.__getitem__,
        tuple(pictures),
        weights,
        config,
        pace=progress.pace(lambda step: sys.maxsize),
        log_every=0,
    )
    for now in steps:
        last = now
        if stopped():
            break
    rows, columns, _ = last.image.shape
    return transfer.finish(last, pictures[rows, columns], config)


def terms(
    image: Picture, pictures: Pictures, weights: Weights, config: Config
) -> LossTerms:
    """The weighted terms that a run would measure before its first step from there."""
    here = pictures._replace(initial=image)
    measured = next(
        transfer.steps(
            lambda shape: here,
            [here.content.shape[:2]],
            weights,
            dataclasses.replace(
                config, solve=dataclasses.replace(config.solve, steps=0)
            ),
            pace=lambda step: 1,
            log_every=0,
        )
    )
    if measured.terms is None:
        raise ArithmeticError(f"the loss is not finite, but {measured.value}")
    return measured.terms


def factors(pictures: Pictures, weights: Weights, config: Config) -> LossTerms:
    """The weight of every term, as a run on these pictures has it."""
    if config.objective.balanced_strength() is None:
        return objective.weights(config.objective, config.network.network)
    seen = prepare.coloured(pictures, config.control)
    return transfer.balanced_problem(seen, weights, config)[1].weights


def named(found: LossTerms, factors: LossTerms) -> list[Term]:
    """The terms under the names that the metrics give them, the total last."""
    values, weights = (metrics.row(0, 0, each) for each in (found, factors))
    sums = ("step", "seconds", "total", "content", "style")
    single = [
        Term(name, float(value), float(weights[name]))
        for name, value in values.items()
        if name not in sums
    ]
    return [*single, Term("total", float(values["total"]), 1.0)]
