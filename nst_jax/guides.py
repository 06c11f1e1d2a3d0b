"""Where each term of the objective looks: masks at the layers, weights by region.

And how much each style counts there.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32

from nst_jax import layers, masks, objective, vgg
from nst_jax.arrays import RegionMaps
from nst_jax.config import Config, ControlConfig
from nst_jax.errors import RequestError
from nst_jax.pictures import Pictures

Mask = Float32[np.ndarray, "_ _"]
Masks = Float32[np.ndarray, "_ _ _"]


def shares(pictures: Pictures, config: Config) -> Float32[np.ndarray, "s r"]:
    """The weight of each style in the target of each region."""
    if pictures.shares:
        return np.asarray(pictures.shares, np.float32)
    asked, styles = config.objective.style_weights, len(pictures.styles)
    whole = np.asarray(asked * styles if len(asked) == 1 else asked, np.float32)
    regions = 1 if pictures.regions is None else pictures.regions.shape[2]
    return np.repeat((whole / whole.sum())[:, None], regions, axis=1)


def by_layer(
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


def maps(
    pictures: Pictures,
    how: objective.Recipe,
    settings: ControlConfig,
    region_weights: dict[str, Array],
) -> objective.Maps:
    """Where each term of the objective looks."""
    protected = {}
    if pictures.protect is not None:
        found = at_layers(pictures.protect[:, :, None], how.content_layers, how.forward)
        extra = settings.protect_weight - 1
        protected = {name: 1 + extra * mask[..., 0] for name, mask in found.items()}
    moving = free(pictures, settings)
    return objective.Maps(
        regions=at_layers(_painted(pictures), how.style_layers, how.forward),
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


def at_layers(
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
