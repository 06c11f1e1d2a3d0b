"""Weights that need no tuning for each pair: one strength from 0 to 1.

How large the terms of an objective are depends on the pictures. Here each of the
two sides is measured once, by the objective itself, where it has lost everything:
the style at the content, and the content at the style's pixels in disorder. A term
then counts as a share of its range, and the strength says how the shares weigh.
docs/balance.md has what was measured.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float32

from nst_jax import objective
from nst_jax.arrays import Image, LossTerms, Scalar
from nst_jax.solve import ObjectiveFn

Pixels = Float32[np.ndarray, "_ _ 3"]

# What was found to make the progress even: 1.25 fits six pairs at two sizes.
STEEPNESS = 1.25
# Less style missing at the content than this, of that at disorder, is none: rounding
# leaves up to a billionth in float32, and more in the products of other precisions.
_ROUNDING = 1e-6


def balanced(
    terms: ObjectiveFn,
    problem: objective.Problem,
    content: Image,
    disorder: Image,
    strength: float,
) -> objective.Problem:
    """The problem with weights of which `strength` goes to the style.

    Within the content and within the style the weights keep their proportions, and
    the total variation keeps its own to the style. At strength 1/2 the content keeps
    its weights, and the style is as large at the content as the content at `disorder`.
    """
    wild = terms(problem, disorder)
    lost, missing = _sum(wild.content), _sum(terms(problem, content).style)
    # The same picture twice, or one without anything in it, has no range.
    has_range = (lost > 0) & (missing > _ROUNDING * _sum(wild.style))
    ratio = jnp.where(has_range, lost / jnp.where(has_range, missing, 1), 1)
    to_content, to_style = shares(strength)
    return problem._replace(
        weights=LossTerms(
            content=_times(problem.weights.content, jnp.float32(2 * to_content)),
            style=_times(problem.weights.style, 2 * to_style * ratio),
            tv=2 * to_style * ratio * problem.weights.tv,
        )
    )


def shares(strength: float) -> tuple[float, float]:
    """What of the whole goes to the content, and to the style.

    Their ratio is ((1 - strength) / strength)^STEEPNESS.

    >>> shares(0), shares(0.5), shares(1)
    ((1.0, 0.0), (0.5, 0.5), (0.0, 1.0))
    """
    keep, paint = (1 - strength) ** STEEPNESS, strength**STEEPNESS
    return keep / (keep + paint), paint / (keep + paint)


def disorder(
    styles: tuple[Pixels, ...],
    shares: Float[np.ndarray, "s"],
    shape: tuple[int, int],
) -> Float32[np.ndarray, "h w 3"]:
    """Pixels drawn from the styles by their shares: their colours, and no scene."""
    generator = np.random.default_rng(0)
    height, width = shape
    drawn = [generator.choice(s.reshape(-1, 3), (height, width)) for s in styles]
    of = generator.choice(len(styles), (height, width), p=shares / shares.sum())
    return np.take_along_axis(np.stack(drawn), of[None, :, :, None], 0)[0]


def _sum(terms: dict[str, Scalar]) -> Scalar:
    return jnp.stack(list(terms.values())).sum()


def _times(weights: dict[str, Scalar], factor: Scalar) -> dict[str, Scalar]:
    return {name: factor * weight for name, weight in weights.items()}
