"""Blocks of a web page that is one file: no network, no script, light and dark.

Every block is `Html`, and what comes from outside is escaped on its way into one.
"""

import base64
import html
import math
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from nst_jax import images

Pixels = Float32[np.ndarray, "_ _ 3"]

TIMES = "\N{MULTIPLICATION SIGN}"

# Nothing is loaded from anywhere, whatever the page may hold.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_QUANTITY = re.compile(rf"(nan|-?inf|[-0-9.{TIMES}⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)(\s\S{{1,4}})?")
_SIGNATURES = {b"\x89PNG": "png", b"\xff\xd8": "jpeg", b"RIFF": "webp"}
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_QUALITY = 80  # of the pictures: what the eye does not miss, at a third of the bytes


class Html(str):
    """Text that is right and safe as a part of a page."""

    __slots__ = ()


Cell = Html | str | float


def document(title: str, *blocks: Html) -> str:
    """The whole page. Write it as UTF-8."""
    style = resources.files("nst_jax.report").joinpath("page.css").read_text("utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escaped(title)}</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n<main>\n<h1>{escaped(title)}</h1>\n{_joined(blocks)}\n</main>\n"
        "</body>\n</html>\n"
    )


def section(heading: str, *blocks: Html) -> Html:
    """Blocks under a heading."""
    return Html(
        f"<section>\n<h2>{escaped(heading)}</h2>\n{_joined(blocks)}\n</section>"
    )


def text(words: str, kind: str = "") -> Html:
    """A paragraph; of the kinds, `lead` is larger, `note` smaller, `warning` framed."""
    mark = f' class="{escaped(kind)}"' if kind else ""
    return Html(f"<p{mark}>{escaped(words)}</p>")


def folded(summary: str, *blocks: Html) -> Html:
    """Blocks that appear when their summary is opened."""
    return Html(
        f"<details>\n<summary>{escaped(summary)}</summary>\n{_joined(blocks)}\n</details>"
    )


def code(words: str) -> Html:
    """Text as it is, line by line."""
    return Html(f"<pre>{escaped(words)}</pre>")


def strong(words: str) -> Html:
    """Words that stand out."""
    return Html(f"<strong>{escaped(words)}</strong>")


def picture(
    image: Pixels | bytes, caption: str, *, alt: str = "", longest: int = 1200
) -> Html:
    """A picture with its caption inside the page.

    Args:
        image: pixels in 0..1, or the bytes of a PNG, JPEG or WebP file.
        caption: what stands under it.
        alt: what is said of it to those who do not see it; else the caption.
        longest: pixels on the long side that larger arrays are reduced to.
    """
    size = ""
    if isinstance(image, bytes):
        data = image
    else:
        image = _reduced(image, longest)
        size = f' width="{image.shape[1]}" height="{image.shape[0]}"'
        data = images.encoded(Path("picture.webp"), image, quality=_QUALITY)
    kind = next((k for mark, k in _SIGNATURES.items() if data.startswith(mark)), "png")
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    below = f"<figcaption>{escaped(caption)}</figcaption>" if caption else ""
    return Html(
        f'<figure class="picture"><img src="{source}"{size} '
        f'alt="{escaped(alt or caption)}">{below}</figure>'
    )


def _reduced(image: Pixels, longest: int) -> Pixels:
    """The picture as it can be shown: not too large, and finite."""
    shape, pixels = image.shape[:2], np.nan_to_num(image, posinf=1, neginf=0)
    if max(shape) <= longest:
        return pixels
    rows, columns = (max(1, round(side * longest / max(shape))) for side in shape)
    return images.resize(pixels, (rows, columns), filter="lanczos")


def beside(main: Html, *others: Html) -> Html:
    """One large picture, and those that it was made from at its side."""
    return Html(
        f'<div class="beside"><div class="main">{main}</div>'
        f'<div class="others">{_joined(others)}</div></div>'
    )


def gallery(*blocks: Html, width: int = 150) -> Html:
    """Blocks of one width, as many in a row as there is room for: a contact sheet."""
    return Html(
        f'<div class="gallery" style="--width: {width}px">{_joined(blocks)}</div>'
    )


def table(
    header: Sequence[str], rows: Sequence[Sequence[Cell]], heading: str = ""
) -> Html:
    """A table that scrolls sideways where it is wider than the screen.

    A column is aligned to the right where it holds numbers, also with a unit.
    """
    columns = list(zip(*rows, strict=True)) or [()] * len(header)
    marks = [_alignment(column) for column in columns]
    head = "".join(
        f'<th scope="col"{mark}>{escaped(name)}</th>'
        for name, mark in zip(header, marks, strict=True)
    )
    body = "\n".join(f"<tr>{_row(row, marks)}</tr>" for row in rows)
    title = f"<h3>{escaped(heading)}</h3>\n" if heading else ""
    # With a place in the tab order it can be scrolled by the keyboard.
    return Html(
        f'{title}<div class="table" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def _alignment(column: Sequence[Cell]) -> str:
    cells = [cell for cell in column if cell != ""]
    is_number = bool(cells) and all(
        not isinstance(cell, Html) and _QUANTITY.fullmatch(_cell(cell))
        for cell in cells
    )
    return ' class="number"' if is_number else ""


def _row(cells: Sequence[Cell], marks: Sequence[str]) -> str:
    first, *others = [_cell(cell) for cell in cells]
    row = [f'<th scope="row"{marks[0]}>{first}</th>']
    pairs = zip(others, marks[1:], strict=True)
    return "".join([*row, *(f"<td{mark}>{cell}</td>" for cell, mark in pairs)])


def _cell(cell: Cell) -> str:
    if isinstance(cell, int | float):
        return number(cell)
    return cell if isinstance(cell, Html) else escaped(cell)


def facts(entries: Mapping[str, str]) -> Html:
    """Names with what is known of each."""
    rows = [
        f"<div><dt>{escaped(name)}</dt><dd>{escaped(fact)}</dd></div>"
        for name, fact in entries.items()
    ]
    return Html(f"<dl>{''.join(rows)}</dl>")


def bar(parts: Mapping[str, float], labels: Sequence[str]) -> Html:
    """Shares of a whole as a bar, with a line for each part below.

    Args:
        parts: the size of each part, none below zero.
        labels: each part's size in words.
    """
    whole = sum(parts.values()) or 1.0
    pieces, legend = [], []
    for place, (name, size) in enumerate(parts.items()):
        mark = f'class="series-{1 + place % 7}"'
        pieces.append(f'<span {mark} style="width: {100 * size / whole:.2f}%"></span>')
        legend.append(
            f"<li><span {mark}></span>{escaped(name)} "
            f"<strong>{escaped(labels[place])}</strong></li>"
        )
    # The list says the same in words.
    return Html(
        f'<div class="bar" aria-hidden="true">{"".join(pieces)}</div>'
        f'<ul class="legend">{"".join(legend)}</ul>'
    )


def escaped(words: str) -> str:
    """Text for a page, without markup."""
    return html.escape(clean(words))


def clean(words: str) -> str:
    """The text without what a page cannot hold: controls, and what is not Unicode.

    File names can hold both.
    """
    whole = words.encode("utf-8", "replace").decode()
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", whole)


def number(value: float) -> str:
    """A number of four digits for people.

    >>> number(0.25), number(12_345.6), number(1e-7)
    ('0.25', '12346', '10⁻⁷')
    """
    if isinstance(value, int) or not math.isfinite(value) or value == 0:
        return str(value) if isinstance(value, int) else f"{value:g}"
    if 1e-3 <= abs(value) < 99_995:
        return f"{value:.4g}" if abs(value) < 9999.5 else f"{value:.0f}"
    digits, power = f"{value:.3e}".split("e")
    digits = digits.rstrip("0").rstrip(".")
    factor = "" if digits == "1" else f"{digits}{TIMES}"
    return f"{factor}{power_of_ten(int(power))}"


def power_of_ten(exponent: int) -> str:
    """Ten with its exponent raised.

    >>> power_of_ten(-3)
    '10⁻³'
    """
    return f"10{str(exponent).translate(_RAISED)}"


def _joined(blocks: Sequence[Html]) -> str:
    return "\n".join(blocks)
