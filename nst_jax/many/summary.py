"""The table of what came of each job, which tells whenever one starts or ends.

Such a row is added at its end, where it counts instead of the job's row before; now and
then, and when all is over, the table is written anew.
"""

import contextlib
import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from nst_jax import disk
from nst_jax.errors import RequestError
from nst_jax.many.entries import Entry

Status = Literal["waiting", "running", "done", "there", "failed", "interrupted"]
_COLUMNS = (
    *("row", "output", "status", "steps", "seconds", "loss"),
    *("message", "content", "style"),
)
_LONGEST = 2**28
# A row by its columns.
Cells = dict[str, str]


class Came(NamedTuple):
    """What came of a job so far."""

    status: Status = "waiting"
    steps: int | None = None
    seconds: float | None = None
    loss: float = math.nan
    message: str = ""


def path(folder: Path, stem: str, suffix: str, part: tuple[int, int]) -> Path:
    """A file that tells of all jobs, or of those of one part."""
    number, count = part
    which = f".{number}-of-{count}" if count > 1 else ""
    return folder / f"{stem}{which}{suffix}"


class Before(NamedTuple):
    """What earlier starts have said."""

    begun: frozenset[str]  # results of which they may have left a part
    rows: Sequence[Cells]  # of the summary itself, those of such results


def before(path: Path, sheet: Path, *, overwrite: bool) -> Before:
    """What earlier starts said of results in this folder, in whatever parts.

    Args:
        path: the summary.
        sheet: the contact sheet beside it.
        overwrite: whether other files of these names may be replaced.

    Raises:
        RequestError: there are such files.
    """
    if sheet.exists() and not path.exists() and not overwrite:
        raise _another(sheet)
    try:
        own = _read(path) if path.exists() else []
    except (OSError, ValueError, csv.Error):
        if not (overwrite and path.is_file()):
            raise _another(path) from None
        own = []
    last: dict[str, bool] = {}
    for each in sorted(path.parent.glob("summary*.csv"), key=_age):
        with contextlib.suppress(OSError, ValueError, csv.Error):
            last |= {
                row["output"]: _is_begun(row)
                for row in (own if each == path else _read(each))
                if row["status"] != "waiting"  # nothing new is known of it
            }
    begun = frozenset(name for name, is_begun in last.items() if is_begun)
    latest = {row["output"]: row for row in own}
    return Before(begun, [row for row in latest.values() if _is_begun(row)])


def _read(path: Path) -> list[Cells]:
    """The rows of a summary; raises ValueError or csv.Error if it is none."""
    if not path.is_file() or path.stat().st_size > _LONGEST:
        raise ValueError
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        rows = csv.DictReader(file, restkey="", restval="")
        if tuple(rows.fieldnames or ()) != _COLUMNS:
            raise ValueError
        return [{name: row[name] for name in _COLUMNS} for row in rows]


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _is_begun(row: Cells) -> bool:
    """Whether files of the job may be there that are its own."""
    status = row["status"]
    # One that failed before its first step may have failed at another's file.
    return status in ("running", "interrupted") or (
        status == "failed" and bool(row["steps"])
    )


def _another(path: Path) -> RequestError:
    return RequestError(
        f"{str(path)!r} is there, and of no earlier start of these jobs; choose "
        "another --output or allow --overwrite"
    )


def text(
    entries: Sequence[Entry], came: Mapping[int, Came], others: Sequence[Cells] = ()
) -> str:
    """The table as CSV, with `others` that are not of these jobs at its end."""
    made = io.StringIO()
    lines = csv.writer(made, lineterminator="\n")
    lines.writerow(_COLUMNS)
    lines.writerows(_row(entry, came) for entry in entries)
    names = {entry.name for entry in entries}
    for row in others:
        if row["output"] not in names:
            lines.writerow(row.values())
    return made.getvalue()


def _row(entry: Entry, came: Mapping[int, Came]) -> tuple[str | int, ...]:
    here, given = came.get(entry.number, Came()), entry.config.inputs
    numbers = (
        "" if here.steps is None else here.steps,
        "" if here.seconds is None else f"{here.seconds:.2f}",
        "" if math.isnan(here.loss) else f"{here.loss:.6g}",
    )
    pictures = (given.content, ",".join(given.style))
    return (entry.number, entry.name, here.status, *numbers, here.message, *pictures)


def add(path: Path, entries: Sequence[Entry], came: Mapping[int, Came]) -> None:
    """Adds rows to the table that is there.

    Raises:
        OSError: that failed.
    """
    made = io.StringIO()
    rows = (_row(entry, came) for entry in entries)
    csv.writer(made, lineterminator="\n").writerows(rows)
    with path.open("r+b") as file:  # not a new one, without its head
        file.seek(0, io.SEEK_END)
        file.write(made.getvalue().encode("utf-8", "surrogateescape"))


def write(
    path: Path,
    entries: Sequence[Entry],
    came: Mapping[int, Came],
    others: Sequence[Cells] = (),
) -> None:
    """Puts the table there.

    Raises:
        OSError: it cannot be written.
    """
    found = text(entries, came, others)
    disk.write(path, found.encode("utf-8", "surrogateescape"))
