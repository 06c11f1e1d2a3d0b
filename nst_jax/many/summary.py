"""The table of what came of each job, written anew whenever one starts or ends."""

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


def before(path: Path, sheet: Path, *, overwrite: bool) -> dict[str, str]:
    """What an earlier start said of each result: its status.

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
        if not path.exists():
            return {}
        if not path.is_file() or path.stat().st_size > _LONGEST:
            raise ValueError
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = csv.DictReader(file)
            if tuple(rows.fieldnames or ()) != _COLUMNS:
                raise ValueError
            return {row["output"]: row["status"] for row in rows}
    except (OSError, ValueError, csv.Error):
        if overwrite and path.is_file():
            return {}
        raise _another(path) from None


def _another(path: Path) -> RequestError:
    return RequestError(
        f"{str(path)!r} is there, and of no earlier start of these jobs; choose "
        "another --output or allow --overwrite"
    )


def text(entries: Sequence[Entry], came: Mapping[int, Came]) -> str:
    """The table as CSV."""
    made = io.StringIO()
    lines = csv.writer(made, lineterminator="\n")
    lines.writerow(_COLUMNS)
    for entry in entries:
        here, given = came.get(entry.number, Came()), entry.config.inputs
        numbers = (
            "" if here.steps is None else here.steps,
            "" if here.seconds is None else f"{here.seconds:.2f}",
            "" if math.isnan(here.loss) else f"{here.loss:.6g}",
        )
        pictures = (given.content, ",".join(given.style))
        lines.writerow(
            (entry.number, entry.name, here.status, *numbers, here.message, *pictures)
        )
    return made.getvalue()


def write(path: Path, entries: Sequence[Entry], came: Mapping[int, Came]) -> None:
    """Puts the table there.

    Raises:
        OSError: it cannot be written.
    """
    disk.write(path, text(entries, came).encode("utf-8", "surrogateescape"))
