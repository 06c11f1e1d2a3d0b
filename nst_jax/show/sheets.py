"""The sheet of a sweep: what was given, then all that was made of it.

Knows no JAX.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from nst_jax import flags, images
from nst_jax.pictures import Pictures
from nst_jax.show import figures, variations

Pixels = Float32[np.ndarray, "_ _ 3"]
Shape = tuple[int, int]

_WIDEST = 8  # pictures side by side, where one setting varies


class Look(NamedTuple):
    """What a variation looks at: the pictures at each scale, from coarse to fine."""

    at: Mapping[Shape, Pictures]

    @property
    def final(self) -> Pictures:
        """Those of the result's scale."""
        return self.at[self.shape]

    @property
    def shape(self) -> Shape:
        """Of the result."""
        return [*self.at][-1]


class Made(NamedTuple):
    """What came of a variation: a picture, or why there is none."""

    pixels: Pixels | None
    trouble: str = ""


def drawn(
    axes: Sequence[variations.Axis],
    requests: Sequence[flags.Request],
    looks: Sequence[Look],
    made: Sequence[Made],
    about: str,
) -> bytes:
    """The figure: what was given, then a row for each value of the second setting."""
    rows = [figures.Row("", _given(requests, looks))]
    cells = zip(variations.combinations(axes), looks, made, strict=True)
    troubles = []
    for others, row in itertools.groupby(cells, key=lambda cell: cell[0][1:]):
        panels = []
        for texts, look, each in row:
            name = variations.named(axes[:1], texts[:1])
            if each.trouble:
                troubles.append(f"{variations.named(axes, texts)}: {each.trouble}")
                name = f"{name}: failed"
            pixels = _crossed(look.shape) if each.pixels is None else each.pixels
            panels.append(figures.Panel(pixels, name))
        rows += _wrapped(variations.named(axes[1:], others), panels)
    varied = ", ".join(axis.name for axis in axes)
    return figures.png(f"By {varied}", "; ".join([about, *troubles]), rows)


def _given(
    requests: Sequence[flags.Request], looks: Sequence[Look]
) -> list[figures.Panel]:
    """The content and all styles, as large as the content.

    Of a style at several scales it is the largest, which shows most.
    """
    found: dict[str, Pixels] = {}
    for request, look in zip(requests, looks, strict=True):
        settings, final = request.config.inputs, look.final
        if settings.content:
            found.setdefault(settings.content, final.content)
        for path, style in zip(settings.style, final.styles, strict=True):
            if path not in found or found[path].size < style.size:
                found[path] = style
    side = max(looks[0].shape)
    return [
        figures.Panel(
            images.resize(
                pixels,
                images.working_size(pixels.shape[:2], side, "long", 1),
                filter="lanczos",
            ),
            Path(path).name,
        )
        for path, pixels in found.items()
    ]


def _wrapped(heading: str, panels: Sequence[figures.Panel]) -> list[figures.Row]:
    """The panels in as many rows as they need, all about as long."""
    count = math.ceil(len(panels) / math.ceil(len(panels) / _WIDEST))
    starts = range(0, len(panels), count)
    headings = itertools.chain([heading], itertools.repeat(""))
    return [
        figures.Row(words, panels[first : first + count])
        for words, first in zip(headings, starts, strict=False)
    ]


def _crossed(shape: Shape) -> Pixels:
    """What stands for a picture that could not be made."""
    rows, columns = np.ogrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    on_lines = np.abs(np.abs(rows) - np.abs(columns)) < 0.02
    grey = np.where(on_lines, 0.6, 0.9).astype(np.float32)
    return np.stack([grey] * 3, axis=-1)
