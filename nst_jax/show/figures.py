"""Pictures side by side with their labels, as one PNG file; matplotlib draws.

Every pixel of a panel becomes a pixel of the figure, so nothing is blurred and what
is seen is what was computed. Knows neither JAX nor the command line.
"""

import io
import math
import re
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float32

from nst_jax import images
from nst_jax.errors import RequestError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Pixels, where a figure is drawn with 100 of them an inch.
_DPI = 100
_MARGIN, _GAP = 20, 8
_LABEL, _HEADING, _TITLE = 16, 34, 22  # height of a line of text
_MORE = 12  # of each further line of a label
_LETTER = 6.5  # width of a letter of a label
_CELL = 120  # the width that a long label has at least
_MOST_LINES = 3  # of a label
_SHEET = 1600  # about how wide a sheet of many tiles is
_LEAST_TILE, _LARGEST_TILE = 48, 480
_MOST = 32  # times a tile is enlarged
_LARGEST = 32_000  # matplotlib's limit is 65,536
_INK, _MUTED = "#222222", "#666666"
# Where a label may be broken: after signs, and after a hyphen that is no minus.
_BREAK = re.compile(r"(?<=[=,/_ ])|(?<=-)(?=[A-Za-z])")


class Panel(NamedTuple):
    """A picture in 0..1 and what it is, in a word or two."""

    pixels: Float32[np.ndarray, "_ _ 3"]
    label: str


class Row(NamedTuple):
    """Panels side by side under a heading, which may be empty."""

    heading: str
    panels: Sequence[Panel]


class _Text(NamedTuple):
    left: float
    top: float  # of its line, from the figure's upper edge
    words: str
    points: float
    color: str


def png(title: str, note: str, rows: Sequence[Row]) -> bytes:
    """The figure as a file: the title, a line of explanation, the rows."""
    columns = max(len(row.panels) for row in rows)
    cell = max(_room(panel) for row in rows for panel in row.panels)
    width = 2 * _MARGIN + columns * cell + (columns - 1) * _GAP
    # Room for a title over a single small panel.
    width = max(width, 480)
    head = [*_lines(title, width, 11, _INK), *_lines(note, width, 8, _MUTED)]
    texts = [
        text._replace(top=_MARGIN + number * _TITLE) for number, text in enumerate(head)
    ]
    top, placed = _MARGIN + len(head) * _TITLE, []
    for row in rows:
        for number, text in enumerate(_lines(row.heading, width, 10, _INK)):
            texts.append(text._replace(top=top + 10 + number * _TITLE))
        if row.heading:
            top = int(texts[-1].top) + _HEADING - 10
        labels = [_broken(panel.label, cell) for panel in row.panels]
        above = _LABEL + _MORE * (max(map(len, labels)) - 1)
        for number, (panel, label) in enumerate(zip(row.panels, labels, strict=True)):
            left = _MARGIN + number * (cell + _GAP)
            texts += _above(label, left, top + above)
            placed.append((left, top + above, panel.pixels))
        top += above + max(panel.pixels.shape[0] for panel in row.panels) + _GAP
    return _drawn((top - _GAP + _MARGIN, width), placed, texts)


def _room(panel: Panel) -> int:
    """Pixels from one panel to the next: those of the picture, or of a long label."""
    label = math.ceil(len(panel.label) * _LETTER)
    return max(panel.pixels.shape[1], min(label, _CELL))


def _above(label: Sequence[str], left: int, bottom: int) -> Iterator[_Text]:
    """The lines of a label, the last of them on top of its panel."""
    for line, words in enumerate(reversed(label)):
        yield _Text(left, bottom - _LABEL - _MORE * line, words, 7.5, _MUTED)


def _broken(label: str, width: int) -> list[str]:
    """The label in lines of that width; what is longer than three of them is cut.

    >>> _broken("style_weight=1e-3", 110), _broken("style_weight=1e-3", 64)
    (['style_weight=', '1e-3'], ['style_', 'weight=', '1e-3'])
    """
    most, lines = max(int(width / _LETTER), 1), [""]
    for whole in _BREAK.split(label):
        for start in range(0, len(whole), most):
            piece = whole[start : start + most]
            if lines[-1] and len(lines[-1]) + len(piece) > most:
                lines.append("")
            lines[-1] += piece
    if len(lines) > _MOST_LINES:
        del lines[_MOST_LINES:]
        lines[-1] = f"{lines[-1][: most - 1]}\u2026"
    return lines


def _lines(words: str, width: int, points: float, color: str) -> Iterator[_Text]:
    """The words in as many lines as they need."""
    letters = int((width - 2 * _MARGIN) / (0.9 * points))
    for line in textwrap.wrap(words, letters):
        yield _Text(_MARGIN, 0, line, points, color)


def _drawn(
    shape: tuple[int, int],
    placed: Sequence[tuple[int, int, Float32[np.ndarray, "_ _ 3"]]],
    texts: Sequence[_Text],
) -> bytes:
    from matplotlib.figure import Figure

    height, width = shape
    if max(shape) > _LARGEST:
        raise RequestError(
            f"the figure would have {width}x{height} px, and {_LARGEST} px a side is "
            "the most; ask for another number of columns"
        )
    # Half a pixel more, as the size is rounded down.
    figure = Figure(((width + 0.5) / _DPI, (height + 0.5) / _DPI), dpi=_DPI)
    canvas = np.ones((height, width, 3), np.float32)
    for left, top, pixels in placed:
        rows, columns = pixels.shape[:2]
        canvas[top : top + rows, left : left + columns] = pixels
    figure.figimage(np.clip(canvas, 0, 1))
    for text in texts:
        figure.text(
            text.left / width,
            1 - text.top / height,
            text.words,
            size=text.points,
            color=text.color,
            va="top",
            parse_math=False,  # a file's name may hold dollar signs
        )
    return _saved(figure)


def _saved(figure: "Figure") -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # Its font has not every letter that a file's name may hold.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


def sheet(tiles: Sequence[Float32[np.ndarray, "_ _ 3"]], columns: int = 0) -> list[Row]:
    """The tiles, all of one shape, in rows as near to a square as can be.

    Each is labelled with its number, from 0. Tiles are enlarged by whole numbers, or
    shrunk, to fill a page.
    """
    columns = min(columns or math.ceil(math.sqrt(len(tiles))), len(tiles))
    side = min(max(_SHEET // columns - _GAP, _LEAST_TILE), _LARGEST_TILE)
    panels = [Panel(_fitted(tile, side), str(n)) for n, tile in enumerate(tiles)]
    starts = range(0, len(panels), columns)
    return [Row("", panels[start : start + columns]) for start in starts]


def _fitted(
    tile: Float32[np.ndarray, "_ _ 3"], side: int
) -> Float32[np.ndarray, "_ _ 3"]:
    """The tile with its long side near to `side` pixels."""
    longest = max(tile.shape[:2])
    if longest <= side:
        times = min(round(side / longest), _MOST)
        return tile.repeat(times, axis=0).repeat(times, axis=1)
    shape = images.working_size(tile.shape[:2], side, "long", 1)
    return images.resize(tile, shape, filter="box")


def colored(values: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w 3"]:
    """A map in colours: dark at its least value, bright from its 99th percentile on.

    Few positions far above the rest would leave the rest black. Equal steps look
    equal, also in grey; a map of one value is dark all over.
    """
    from matplotlib import colormaps

    low, high = float(values.min()), float(np.quantile(values, 0.99))
    high = high if high > low else float(values.max())
    scaled = (values - low) / (high - low) if high > low else np.zeros_like(values)
    return np.asarray(colormaps["inferno"](scaled)[..., :3], np.float32)
