"""Tables for a terminal, and the same for a spreadsheet."""

import csv
import io
from collections.abc import Mapping, Sequence


def text(heads: Sequence[str], rows: Sequence[Sequence[str]], last: str = "") -> str:
    """The rows under their heads: the first column to the left, numbers to the right.

    `last` stands below a rule at the end.

    >>> print(text(("layer", "px"), [("relu1_1", "64"), ("pool1", "128")]))
    layer     px
    ------------
    relu1_1   64
    pool1    128
    """
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = [_line(cells, widths) for cells in (heads, *rows)]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    end = [rule, last] if last else []
    return "\n".join([lines[0], rule, *lines[1:], *end])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    name, *numbers = cells
    right = [cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=True)]
    return "  ".join([name.ljust(widths[0]), *right]).rstrip()


def in_csv(rows: Sequence[Mapping[str, object]]) -> bytes:
    """The rows as a CSV file, with the names above the first."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue().encode()
