"""The terms of the loss as rows of a CSV file, written while the run goes on."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from nst_jax.arrays import LossTerms


class Lines(NamedTuple):
    """How a file of rows is written."""

    add: Callable[[Mapping[str, str]], None]
    back: Callable[[Sequence[Mapping[str, str]]], None]  # to these alone


@contextmanager
def table(path: Path | None, *, overwrite: bool) -> Iterator[Lines]:
    """The lines of a file that appears with the first row.

    Without a path, nothing happens.
    """
    opened: list[IO[str]] = []
    with ExitStack() as stack:

        def add(row: Mapping[str, str]) -> None:
            if path is None:
                return
            first = not opened
            if first:
                mode = "w" if overwrite else "x"
                file = path.open(mode, encoding="utf-8", newline="")
                opened.append(stack.enter_context(file))
            write(opened[0], row, first=first)

        def back(rows: Sequence[Mapping[str, str]]) -> None:
            for file in opened:
                file.seek(0)
                file.truncate()
                if rows:
                    csv.DictWriter(file, rows[0], lineterminator="\n").writeheader()
            for row in rows:
                add(row)

        yield Lines(add, back)


def row(step: int, seconds: float, terms: LossTerms) -> dict[str, str]:
    """One row of the metrics: the weighted terms as they enter the total."""
    values = {
        "total": terms.total,
        "content": sum(terms.content.values()),
        "style": sum(terms.style.values()),
        "tv": terms.tv,
        **{f"content/{name}": value for name, value in terms.content.items()},
        **{f"style/{name}": value for name, value in terms.style.items()},
    }
    numbers = {name: f"{float(value):.9g}" for name, value in values.items()}
    return {"step": str(step), "seconds": f"{seconds:.3f}", **numbers}


def write(file: IO[str], row: Mapping[str, str], *, first: bool) -> None:
    """Adds a row, with the names above the first, so that it is there at once."""
    writer = csv.DictWriter(file, row, lineterminator="\n")
    if first:
        writer.writeheader()
    writer.writerow(row)
    file.flush()
