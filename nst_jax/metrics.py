"""The terms of the loss as rows of a CSV file, written while the run goes on."""

import csv
import errno
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

from nst_jax.arrays import LossTerms


class Lines(NamedTuple):
    """How a file of rows is written."""

    add: Callable[[Mapping[str, str]], None]
    back: Callable[[Sequence[Mapping[str, str]]], None]  # to these alone


@contextmanager
def table(
    path: Path | None, failed: Callable[[OSError], None], *, overwrite: bool
) -> Iterator[Lines]:
    """The lines of a file that appears with the first row.

    Without a path, nothing happens. A row that cannot be written is told to `failed`
    and is the last: what stands before it stays.

    Raises:
        FileExistsError: without `overwrite`, by the first row.
    """
    opened: list[IO[bytes]] = []
    is_over: list[OSError] = []

    def put(data: bytes) -> None:
        if is_over:
            return
        file = opened[0]
        end = file.tell()
        try:
            if file.write(data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            is_over.append(error)
            failed(error)
            with suppress(OSError):  # half a row
                file.truncate(end)

    with ExitStack() as stack:

        def add(row: Mapping[str, str]) -> None:
            if path is None or is_over:
                return
            first = not opened
            if first:
                try:
                    # Unbuffered: what cannot be written must not come up again later.
                    file = path.open("wb" if overwrite else "xb", buffering=0)
                except FileExistsError:
                    raise
                except OSError as error:
                    is_over.append(error)
                    failed(error)
                    return
                opened.append(stack.enter_context(file))
            put(_lines([row], first=first))

        def back(rows: Sequence[Mapping[str, str]]) -> None:
            for file in opened if not is_over else ():
                file.seek(0)
                file.truncate()
                put(_lines(rows, first=True))
            for row in rows if not opened else ():
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


def _lines(rows: Sequence[Mapping[str, str]], *, first: bool) -> bytes:
    """The rows as text, with their names above the first."""
    text = io.StringIO()
    for index, each in enumerate(rows):
        writer = csv.DictWriter(text, each, lineterminator="\n")
        if first and index == 0:
            writer.writeheader()
        writer.writerow(each)
    return text.getvalue().encode()
