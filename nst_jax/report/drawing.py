"""Lines drawn by matplotlib, as an SVG file in the colours of a page."""

import io
import itertools
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from nst_jax.errors import RequestError
from nst_jax.report import page

if TYPE_CHECKING:
    from matplotlib import ticker
    from matplotlib.axes import Axes

_WIDTH, _HEIGHT = 4.4, 3.0  # inches of 72 points: readable on a phone's width
_ROW = 11.0  # points from one label to the next
_LONGEST_LABEL = 24
_LETTER = 5.0  # points of a letter of a mark
_MARKERS = 8  # on each line

# Colours that matplotlib writes and that stand for a colour of the page.
_SERIES = [f"#0a0b{number:02x}" for number in range(8)]
_INK, _MUTED, _LINE = "#0a0c00", "#0a0c01", "#0a0c02"
PALETTE = {
    **{colour: f"var(--series-{place})" for place, colour in enumerate(_SERIES)},
    _INK: "var(--ink)",
    _MUTED: "var(--muted)",
    _LINE: "var(--line)",
}
# Their counts share no factor with that of the colours.
_DASHES = ("-", (0, (6, 2)), (0, (1.5, 1.5)), (0, (7, 2, 1.5, 2)), (0, (3, 1)))
_SHAPES = "os^Dv<P*X"

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "nst_jax",  # without it names inside the file are random
    "text.parse_math": False,
    "font.size": 9,
    "text.color": _INK,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "lines.markersize": 3.5,
}


class Axis(NamedTuple):
    """What is measured along one side of a plot."""

    label: str
    log: bool = False
    is_whole: bool = False  # counts something, so there is nothing between


class Curve(NamedTuple):
    """The points of one line."""

    x: Sequence[float]
    y: Sequence[float]
    is_main: bool = False  # drawn in ink; the others have colours


def check() -> None:
    """Raises RequestError where nothing can be drawn."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise RequestError(
            "reports and figures are drawn by matplotlib, which cannot be loaded "
            f"({str(error)!r}); install it: python -m pip install 'matplotlib>=3.9'"
        ) from error


def lines(
    series: Mapping[str, Curve], x: Axis, y: Axis, marks: Sequence[tuple[float, str]]
) -> str:
    """The file: every line with its name at its end.

    All points and marks are such that the axes can show them.
    """
    import matplotlib.style
    from matplotlib.figure import Figure

    stream = io.StringIO()
    colours = _colours(series)
    with matplotlib.style.context(["default", _STYLE]), warnings.catch_warnings():
        # The reader's browser has the letters that matplotlib's own font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        height = max(_HEIGHT, (len(series) * _ROW + 70) / 72)
        figure = Figure((_WIDTH, height), layout="constrained", facecolor="none")
        axes = figure.add_subplot(facecolor="none")
        for place, (name, curve) in enumerate(series.items()):
            axes.plot(
                curve.x,
                curve.y,
                color=colours[name],
                linewidth=1.9 if curve.is_main else 1.4,
                linestyle=_DASHES[place % len(_DASHES)],
                marker=_SHAPES[place % len(_SHAPES)],
                markevery=max(1, (len(curve.x) - 1) // _MARKERS),
            )
        _dress(axes, x, y)
        figure.draw_without_rendering()  # the sizes are known from here on
        _mark(axes, marks)
        _name(axes, series)
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def _colours(series: Mapping[str, Curve]) -> dict[str, str]:
    """A colour for each line, in turn; dashes and markers tell apart what repeats."""
    turn = itertools.cycle(_SERIES[1:])
    return {
        name: _SERIES[0] if curve.is_main else next(turn)
        for name, curve in series.items()
    }


def _dress(axes: "Axes", x: Axis, y: Axis) -> None:
    from matplotlib import ticker

    axes.set_xlabel(x.label)
    # Above the axis it can be read without turning one's head.
    axes.set_title(y.label, loc="left", fontsize=9, color=_MUTED, pad=14)
    axes.margins(x=0.01)
    axes.grid(visible=False, axis="x")
    if x.log:
        axes.set_xscale("log")
    if y.log:
        axes.set_yscale("log")
    for axis, one in ((axes.xaxis, x), (axes.yaxis, y)):
        axis.set_major_locator(_locator(one, *axis.get_view_interval()))
        axis.set_major_formatter(lambda value, place: _tick(float(value)))
        axis.set_minor_locator(ticker.NullLocator())


def _locator(axis: Axis, low: float, high: float) -> "ticker.Locator":
    """Where the axis has labels; a logarithmic one several, however little it spans."""
    from matplotlib import ticker

    span = math.log10(high / low) if axis.log else 0.0
    if span < 0.7:
        return ticker.MaxNLocator(6, integer=axis.is_whole, steps=(1, 2, 5, 10))
    return ticker.LogLocator(subs=(1,) if span > 2.5 else (1, 2, 5))


def _tick(value: float) -> str:
    exponent = math.log10(value) if value > 0 else 0.0
    if abs(exponent) > 3 and exponent == round(exponent):
        return page.power_of_ten(round(exponent))
    return page.number(value)


def _mark(axes: "Axes", marks: Sequence[tuple[float, str]]) -> None:
    """Draws upright lines and, above them, as many of their labels as have room."""
    width = max((len(label) for _, label in marks), default=0) * _LETTER
    room = axes.bbox.width * 72 / axes.figure.dpi
    every = max(1, math.ceil(len(marks) * width / room))
    for number, (place, label) in enumerate(marks):
        axes.axvline(place, color=_MUTED, linewidth=0.7, linestyle=(0, (2, 2)))
        if number % every == 0:
            axes.annotate(
                label,
                (place, 1),
                xycoords=("data", "axes fraction"),
                xytext=(0, 2),
                textcoords="offset points",
                fontsize=7.5,
                color=_MUTED,
            )


def _name(axes: "Axes", series: Mapping[str, Curve]) -> None:
    """Writes each line's name to the right of its end, none over another."""
    ends = axes.transData.transform([(c.x[-1], c.y[-1]) for c in series.values()])
    low, high = axes.bbox.y0, axes.bbox.y1
    gap = _ROW * axes.figure.dpi / 72
    places = spread([end[1] for end in ends], low, high, gap)
    colours = _colours(series)
    for (name, curve), place in zip(series.items(), places, strict=True):
        colour = colours[name]
        axes.annotate(
            name if len(name) <= _LONGEST_LABEL else f"{name[:_LONGEST_LABEL]}…",
            (curve.x[-1], curve.y[-1]),
            xytext=(1.04, (place - low) / (high - low)),
            textcoords="axes fraction",
            va="center",
            color=colour,
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "linewidth": 0.6,
                "alpha": 0.5,
                "shrinkA": 1,
                "shrinkB": 3,
                "relpos": (0, 0.5),
            },
            annotation_clip=False,
        )


def spread(wanted: Sequence[float], low: float, high: float, gap: float) -> list[float]:
    """Places near the wanted ones, in their order and at least `gap` apart.

    They stay between `low` and `high` where there is room for them.

    >>> spread([5.0, 5.5, 0.0], 0, 10, 2)
    [5.0, 7.0, 0.0]
    """
    order = sorted(range(len(wanted)), key=lambda place: wanted[place])
    found = list(wanted)
    limit = low
    for place in order:
        found[place] = max(found[place], limit)
        limit = found[place] + gap
    limit = high
    for place in reversed(order):
        if found[place] <= limit:
            break
        found[place] = limit
        limit = found[place] - gap
    return found
