"""Which size a style has beside its content, at any scale."""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float32

from nst_jax.images import sampling

Shape = tuple[int, int]
Fit = Literal["keep", "crop", "stretch", "width"]
Enlarge = Literal["all", "content", "none"]


class Rules(NamedTuple):
    """How sizes follow from the content's. Shapes are rows and columns."""

    size: int  # what is asked for; 0: the content's own
    rule: sampling.Rule  # what it measures
    rounding: sampling.Rounding
    enlarge: Enlarge  # which smaller pictures become as large
    fit: Fit
    least: int  # pixels on each side that the network needs
    multiples: Shape = (1, 1)  # of which the content's sides are


def content_shape(content: Shape, rules: Rules) -> Shape:
    """The shape of the result; raises if it is too small for the network.

    With multiples it is not quite in the content's aspect.
    """
    made = sampling.working_size(
        content,
        rules.size,
        rules.rule,
        rules.least,
        rounding=rules.rounding,
        enlarge=rules.enlarge != "none",
    )
    return sampling.in_multiples(made, rules.multiples)


def part(
    style: Float32[np.ndarray, "h w c"], content: Shape, rules: Rules
) -> Float32[np.ndarray, "_ _ c"]:
    """What is used of a style, or of its mask, for a content of that shape."""
    return sampling.crop(style, content) if rules.fit == "crop" else style


def style_shape(
    style: Shape, content: Shape, final: Shape, scale: float, rules: Rules
) -> Shape:
    """The shape of a style, as if the scale at hand were the last.

    No side is shorter than the network needs: a smaller style is enlarged.

    Args:
        style: the shape of its `part`.
        content: the content's shape at the scale at hand.
        final: the content's shape at the last scale.
        scale: the style's size against the content's.
        rules: how sizes follow.
    """
    if rules.fit in ("keep", "width"):
        aspect, made = style, _in_its_aspect(style, content, final, scale, rules)
    else:
        aspect, made = content, (round(content[0] * scale), round(content[1] * scale))
        is_smaller = style[0] < made[0] or style[1] < made[1]
        if rules.fit == "crop" and is_smaller and rules.enlarge != "all":
            made = style
    if min(made) >= rules.least:
        return made
    return sampling.working_size(aspect, rules.least, "short", rules.least)


def _in_its_aspect(
    style: Shape, content: Shape, final: Shape, scale: float, rules: Rules
) -> Shape:
    """Sized as the content is, however small."""
    rule, size = rules.rule, rules.size
    if rules.fit == "width":
        rule, size = "width", final[1]
    elif size == 0:
        rule, size = "long", max(final)
    part = sampling.measured(content, rule) / sampling.measured(final, rule)
    return sampling.working_size(
        style,
        max(1, round(size * part * scale)),
        rule,
        least=0,
        rounding=rules.rounding,
        enlarge=rules.enlarge == "all",
    )
