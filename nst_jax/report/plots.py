"""Curves as vector pictures in a page; what cannot be drawn is told.

Colours are those of the page's style, so that they follow its light and dark
scheme; text stays text, in the reader's own font.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from nst_jax.report import drawing, page, svg
from nst_jax.report.drawing import Axis as Axis
from nst_jax.report.drawing import Curve as Curve


def curves(
    title: str,
    series: Mapping[str, Curve],
    x: Axis,
    y: Axis,
    marks: Sequence[tuple[float, str]] = (),
) -> page.Html:
    """Lines with their names at their ends.

    Points that an axis cannot show are left out, and a note says so: what is not
    finite, and on a logarithmic axis what is not positive. An axis without anything
    positive is linear.

    Args:
        title: what stands above.
        series: the lines by name.
        x: what is measured from left to right.
        y: what is measured upwards.
        marks: upright lines at places of `x`, each with its label.
    """
    x = _possible(x, (curve.x for curve in series.values()))
    y = _possible(y, (curve.y for curve in series.values()))
    series = {page.clean(name): curve for name, curve in series.items()}
    drawn = {name: _part(curve, x, y, shows=True) for name, curve in series.items()}
    hidden = {name: _part(curve, x, y, shows=False) for name, curve in series.items()}
    drawn = {name: curve for name, curve in drawn.items() if curve.x}
    blocks = []
    if drawn:
        seen = [mark for mark in marks if _shows(x, mark[0])]
        file = drawing.lines(drawn, x, y, seen)
        label = f"{page.clean(title)}: {', '.join(drawn)}"
        blocks.append(svg.inline(file, label, drawing.PALETTE))
    missing = _places({name: curve for name, curve in hidden.items() if curve.x}, x)
    if missing:
        why = "zero, negative or not finite" if x.log or y.log else "not finite"
        blocks.append(page.text(f"Not drawn, because {why}: {missing}.", "note"))
    elif not drawn:
        blocks.append(page.text("Nothing to draw.", "note"))
    return _figure(title, *blocks)


def _figure(title: str, *blocks: page.Html) -> page.Html:
    caption = f"<figcaption>{page.escaped(title)}</figcaption>"
    return page.Html(f'<figure class="plot">{caption}{"".join(blocks)}</figure>')


def _possible(axis: Axis, curves: Iterable[Sequence[float]]) -> Axis:
    """The axis, linear where there is nothing that a logarithmic one can show."""
    log = axis._replace(log=True)
    any_shows = any(_shows(log, value) for values in curves for value in values)
    return axis._replace(log=axis.log and any_shows)


def _part(curve: Curve, x: Axis, y: Axis, *, shows: bool) -> Curve:
    """The points that the axes can show, or the others."""
    points = [
        point
        for point in zip(curve.x, curve.y, strict=True)
        if (_shows(x, point[0]) and _shows(y, point[1])) == shows
    ]
    across, up = [point[0] for point in points], [point[1] for point in points]
    return Curve(across, up, curve.is_main)


def _shows(axis: Axis, value: float) -> bool:
    return math.isfinite(value) and (value > 0 or not axis.log)


def _places(hidden: Mapping[str, Curve], x: Axis) -> str:
    """Where lines have points that are not drawn, in words."""
    found: dict[str, list[str]] = {}
    for name, curve in hidden.items():
        count = len(curve.x)
        one = f"at {x.label} {page.number(curve.x[0])}"
        found.setdefault(one if count == 1 else f"({count} points)", []).append(name)
    return "; ".join(
        f"{', '.join(names) if len(names) < 9 else f'{len(names)} lines'} {place}"
        for place, names in found.items()
    )
