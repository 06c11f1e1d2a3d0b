"""Which image of a run is its result: the last, the best or a running average."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from nst_jax.arrays import Image, Scalar

Keep = Literal["last", "best", "average"]


class Average(NamedTuple):
    """A running mean of the images, biased towards zero by what it has not seen."""

    image: Image
    unseen: Scalar  # the share that is still missing


class Best(NamedTuple):
    """The image with the lowest loss so far."""

    image: Image
    value: Scalar


def first(keep: Keep, decay: float, image: Image) -> Average | Best | None:
    """What is kept before the first step; None if that is the last image."""
    match keep:
        case "average":
            return Average((1 - decay) * image, jnp.float32(decay))
        case "best":
            return Best(jnp.array(image, copy=True), jnp.float32(jnp.inf))
    return None


def updated(
    kept: Average | Best | None,
    before: Image,
    value: Scalar,
    after: Image,
    decay: float,
    is_good: Bool[Array, ""],
) -> Average | Best | None:
    """What is kept after a step.

    Args:
        kept: what was kept before it.
        before: the image that it started from.
        value: the loss there.
        after: the image that it led to.
        decay: the share of the past in the average.
        is_good: whether the step has no fault.
    """
    match kept:
        case Average():
            image = decay * kept.image + (1 - decay) * after
            moved = Average(image, decay * kept.unseen)
            return jax.tree.map(lambda a, b: jnp.where(is_good, a, b), moved, kept)
        case Best():
            better = value < kept.value
            return Best(
                jnp.where(better, before, kept.image),
                jnp.where(better, value, kept.value),
            )
    return None


def without(
    kept: Average | Best | None, good: Image, decay: float
) -> Average | Best | None:
    """What is kept once images that came in turned out to be bad.

    An average starts anew from the last good image; the best was none of them.
    """
    if isinstance(kept, Average):
        return Average((1 - decay) * good, jnp.full_like(kept.unseen, decay))
    return kept
