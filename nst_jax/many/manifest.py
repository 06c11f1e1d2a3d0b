"""Tables of jobs as text: CSV, or JSON with an object a line, to flags by name.

What a row gives is read as a flag is, never run or opened here. All that is wrong with
a table is told at once.
"""

import csv
import io
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nst_jax import arguments, flagfile
from nst_jax.errors import RequestError
from nst_jax.many.wrong import Wrong

_LONGEST = 64 * 2**20  # bytes
_MOST = 20_000  # rows
# What concerns all jobs together, or asks a question.
COMMON = (
    *("device", "devices", "spread", "coordinator", "processes", "process"),
    *("distributed", "connect_timeout", "dry_run", "quiet", "help", "version", "cite"),
)


class Row(NamedTuple):
    """A row by its number, as editors and spreadsheets count: what it gives."""

    number: int
    values: dict[str, Any]


class _Texts(NamedTuple):
    number: int
    cells: Mapping[str, str]


def columns() -> list[str]:
    """The names that a column may have."""
    names = [*arguments.SETTINGS, "preset", "from", "flagfile"]
    return [name for name in names if name not in COMMON]


def read(path: Path, wrong: Wrong) -> list[Row]:
    """The rows of a table; what cannot be read of it is added to `wrong`."""
    kinds = {".csv": _csv, ".jsonl": _jsonl}
    kind = kinds.get(path.suffix.lower())
    if kind is None:
        raise RequestError(
            f"--manifest must end in .csv or .jsonl, got {str(path)!r}; the suffix "
            "says how it is read"
        )
    text = _text(path)
    unknown: dict[str, None] = {}
    rows = []
    for row in kind(text, wrong):
        unknown |= dict.fromkeys(row.cells.keys() - columns())
        with wrong.row(row.number):
            rows.append(Row(row.number, _values(row.cells)))
    for name in itertools.islice(unknown, 20):
        wrong.add(0, f"unknown column {flagfile.shown(name[:60])}{_hint(name)}")
    if not rows and not wrong.rows:
        raise RequestError(f"{str(path)!r} has no jobs; give a row for each")
    return rows


def _hint(name: str) -> str:
    if name in COMMON:
        return f" (--{name} is one for all jobs)"
    near = arguments.near(name, columns())
    return f" ({near})" if near else ""


def _values(cells: Mapping[str, str]) -> dict[str, Any]:
    """The flags of a row: those of its flagfile, which the others win over."""
    known = {name: text for name, text in cells.items() if name in columns()}
    return {name: arguments.cell(name, text) for name, text in known.items()}


def _text(path: Path) -> str:
    name = repr(str(path))
    try:
        if not path.is_file():
            raise RequestError(f"{name} is no file that is there; check --manifest")
        with path.open("rb") as file:
            data = file.read(_LONGEST + 1)
        if len(data) > _LONGEST:
            raise RequestError(f"{name} has more than {_LONGEST} bytes; share it out")
        # Windows' editors put a mark in front; file names need not be valid UTF-8.
        text = data.decode("utf-8-sig", "surrogateescape")
    except (OSError, ValueError, MemoryError) as error:
        raise RequestError(f"{name} cannot be read ({error}); check it") from None
    if "\0" in text:
        raise RequestError(f"{name} is not text in UTF-8; save it as UTF-8")
    return text


def _csv(text: str, wrong: Wrong) -> Iterator[_Texts]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows = _limited(_counted(reader))
    number, names = next(rows, (1, []))
    names = [name.strip() for name in names]
    if len({*names}) < len([name for name in names if name]) + ("" in names):
        twice = sorted({name for name in names if name and names.count(name) > 1})
        raise RequestError(
            f"the first row must name each column once, got "
            f"{', '.join(map(flagfile.shown, twice))[:200]} twice"
        )
    for number, cells in rows:
        more = [cell for cell in cells[len(names) :] if cell.strip()]
        given = {
            name: cell for name, cell in zip(names, cells, strict=False) if cell.strip()
        }
        if more or "" in given:
            said = flagfile.shown((more or [given[""]])[0][:60])
            wrong.add(number, f"{said} has no column; quote a value that has commas")
        elif given:
            yield _Texts(number, given)


def _counted(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """The rows that have something, by the line that each begins in."""
    begins = 1
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                yield begins, cells
            begins = reader.line_num + 1
    except csv.Error as error:
        raise RequestError(
            f"row {begins} is no CSV ({str(error)[:100]}); quote values that hold "
            "commas or quotes"
        ) from None


def _jsonl(text: str, wrong: Wrong) -> Iterator[_Texts]:
    lines = ((n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip())
    for number, line in _limited(lines):
        with wrong.row(number):
            yield _Texts(number, _object(line))


def _object(line: str) -> dict[str, str]:
    """What the object in a line gives; null and empty texts give nothing."""
    try:
        found = json.loads(line, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        why = " ".join(str(error).split())[:100]
        raise RequestError(f"it is no JSON ({flagfile.shown(why)})") from None
    if not isinstance(found, dict):
        raise RequestError('it must be an object, such as {"content": "a.jpg"}')
    texts = {name: _as_text(name, value) for name, value in found.items()}
    return {name: text for name, text in texts.items() if text.strip()}


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a name stands there twice")
    return dict(pairs)


def _as_text(name: str, value: Any) -> str:
    """The value as it would stand behind a flag."""
    match value:
        case None:
            return ""
        case str() | bool() | int() | float():
            return flagfile.to_text(value)
        case list() if all(isinstance(each, str | int | float) for each in value):
            return flagfile.to_text(tuple(value))
    raise RequestError(
        f"{flagfile.shown(name[:60])} must be a text, a number, true, false or a list "
        "of them"
    )


def _limited(rows: Iterable[Any]) -> Iterator[Any]:
    for count, row in enumerate(rows):
        if count > _MOST:
            raise RequestError(f"a table has at most {_MOST} rows; share it out")
        yield row
