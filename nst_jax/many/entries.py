"""Rows to jobs, each checked as far as it can be before anything is done.

Paths in a table are relative to its folder; what is written stays within --output.
"""

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nst_jax import arguments, flagfile, flags, images, inputs, record, start
from nst_jax.config import Config, JobsConfig
from nst_jax.errors import RequestError
from nst_jax.many.manifest import COMMON, Row
from nst_jax.many.wrong import Wrong

Shape = tuple[int, int]

# Files of one job, of which the command line can name no more than one.
_EACH = ("metrics", "report", "preview")
# What a job's other flags override.
_STARTS = {"preset", "from"}


class Entry(NamedTuple):
    """A job of many."""

    number: int  # its row
    name: str  # of its result, as seen from the folder
    request: flags.Request
    files: record.Files

    @property
    def config(self) -> Config:
        """Its settings."""
        return self.request.config


class Where(NamedTuple):
    """Where the paths of a table's rows begin."""

    home: Path  # of what is read
    output: Path  # of what is written
    sources: tuple[str, ...]  # files that rows come from

    def read(self, path: str) -> str:
        """The path of a file that a row names."""
        whole = arguments.at_home(None, path)
        return whole if self.home == Path() else os.path.join(self.home, whole)


def base(given: flags.Given) -> flags.Given:
    """What the command line says of every job."""
    values = dict(given.values)
    for name in _EACH:
        if values.get(name):
            raise RequestError(
                f"--{name} is a file of one job; give a --manifest with a column "
                f"{name!r}, and a name in each row"
            )
    names = {field.name for field in dataclasses.fields(JobsConfig)}
    return given._replace(values=values, typed=given.typed - names)


def made(
    rows: Sequence[Row], base: flags.Given, where: Where, wrong: Wrong
) -> list[Entry]:
    """The jobs of the rows; what is wrong with their flags is added to `wrong`."""
    found = []
    for row in rows:
        with wrong.row(row.number):
            found.append(_entry(row, base, where))
    return found


def _entry(row: Row, base: flags.Given, where: Where) -> Entry:
    included = row.values.get("flagfile", "")
    chunks = []
    if included:
        path = where.read(included)
        chunks = list(flagfile.expand([f"--flagfile={path}"]))
    shared = arguments.values(chunks, arguments.SETTINGS)
    own = {
        **_written(shared, where),
        **_placed(row.values, where),
    }
    own.pop("flagfile", None)
    given = dict(base.values)
    if own.keys() & _STARTS:  # of which there can be only one
        given = {name: value for name, value in given.items() if name not in _STARTS}
    values = {**given, **own, "quiet": True}  # all jobs have one voice
    if not own.get("output"):
        values["output"] = _default_name(values)
    name = _within(values["output"], where.output)
    values["output"] = str(where.output / name)
    if values.get("checkpoint") and not own.get("checkpoint"):
        folder = Path(base.values["checkpoint"], name)
        values["checkpoint"] = str(folder.with_suffix(""))
    if values.get("checkpoint") and values.get("resume", "none") == "none":
        values["resume"] = "exact"  # what was begun goes on
    files = (*base.files, *where.sources, *(each.path for each in chunks if each.path))
    whole = flags.Given(values, base.typed, files)
    request = flags.request(whole, read_settings=start.read_settings)
    if request.answer:
        raise RequestError(f"--preset={values['preset']} may not stand in a row")
    return Entry(row.number, name, request, record.plan(request.config))


def _written(values: Mapping[str, Any], where: Where) -> dict[str, Any]:
    """The flags of a row's flagfile, what they write where it belongs."""

    def change(field: Any, path: str) -> str:
        return path if field.metadata["file"] == "read" else _put(field, path, where)

    found = arguments.changed(values, change)
    return {name: value for name, value in found.items() if name not in COMMON}


def _placed(values: Mapping[str, Any], where: Where) -> dict[str, Any]:
    """The flags of a row with its paths where they belong; the output is still bare."""

    def change(field: Any, path: str) -> str:
        if field.metadata["file"] == "read":
            return where.read(path)
        return _put(field, path, where)

    found = arguments.changed(values, change)
    if found.get("from"):
        found["from"] = where.read(found["from"])
    return found


def _put(field: Any, path: str, where: Where) -> str:
    """A path that is written, where it belongs; the output itself is still bare."""
    name = _within(path, where.output, field.name)
    return name if field.name == "output" else str(where.output / name)


def _within(path: str, folder: Path, flag: str = "output") -> str:
    """The path as seen from the folder, if it is in there."""
    name = os.path.normpath(path)
    outside = os.path.isabs(name) or name.split(os.sep)[0] in (os.pardir, os.curdir)
    if outside or not path or os.path.splitdrive(name)[0]:
        raise RequestError(
            f"--{flag} of a row must lie within --output={str(folder)!r}, got {path!r};"
            " give a name, or a path below that folder"
        )
    return name


def _default_name(values: Mapping[str, Any]) -> str:
    """CONTENT_STYLE.png."""
    content, styles = values.get("content", ""), values.get("style", ())
    mixed = "+".join(Path(style).stem for style in styles)
    stems = [Path(content).stem if content else "", mixed]
    return f"{'_'.join(filter(None, stems))}.png"


def anew(entry: Entry) -> Entry:
    """The job without going on from a checkpoint."""
    config = entry.request.config
    output = dataclasses.replace(config.output, resume="none")
    config = dataclasses.replace(config, output=output)
    return entry._replace(request=entry.request._replace(config=config))


def check_apart(
    entries: Sequence[Entry], taken: Mapping[Path, str], wrong: Wrong
) -> None:
    """Notes files that two jobs would write, or one write and another read.

    Args:
        entries: all jobs.
        taken: files that are written or read besides, and what they are.
        wrong: where it is noted.
    """
    known = {_real(path): what for path, what in taken.items()}
    for entry in entries:
        for field, read in read_files(entry.config):
            known.setdefault(_real(Path(read)), f"the --{field} of row {entry.number}")
    for entry in entries:
        row = f"of row {entry.number}"
        mine = [(path, f"a file {row}") for path in entry.files.single()]
        if entry.config.output.checkpoint:
            mine.append((Path(entry.config.output.checkpoint), f"the checkpoint {row}"))
        for path, what in mine:
            other = known.setdefault(_real(path), what)
            if other != what:
                reason = f"{str(path)!r} is {other} as well; give another name"
                wrong.add(entry.number, reason)
                break


def _real(path: Path) -> str:
    with contextlib.suppress(OSError, ValueError):
        return os.path.normcase(os.path.realpath(path))
    return str(path)


def read_files(config: Config) -> Iterator[tuple[str, str]]:
    """Every file that a job reads, and by which flag."""
    for field, value in flagfile.settings(config):
        if field.metadata["file"] != "read":
            continue
        for path in value if isinstance(value, tuple) else (value,):
            if flagfile.is_path(field, path):
                yield field.name, path


def shapes(entries: Sequence[Entry], wrong: Wrong) -> dict[int, tuple[Shape, ...]]:
    """The result's shape and the styles' files' of each job, by row.

    Files that are not there, or no pictures, are noted.
    """
    measured: dict[tuple[str, int], Shape | RequestError] = {}
    found = {}
    for entry in entries:
        with wrong.row(entry.number):
            found[entry.number] = _shapes(entry.config, measured)
    return found


def _shapes(
    config: Config, measured: dict[tuple[str, int], Shape | RequestError]
) -> tuple[Shape, ...]:
    most = config.inputs.max_pixels
    for field, path in read_files(config):
        if field != "weights":
            _measured(path, most, measured)
        elif not os.path.isfile(path):
            raise RequestError(f"the --weights file {path!r} is not there")
    styles = [_measured(path, most, measured) for path in config.inputs.style]
    content = config.inputs.content
    whole = _measured(content, most, measured) if content else styles[0]
    return (inputs.shape(config, whole), *styles)


def _measured(
    path: str, most: int, measured: dict[tuple[str, int], Shape | RequestError]
) -> Shape:
    """The shape of a picture, each looked at once."""
    key = path, most
    if key not in measured:
        try:
            measured[key] = images.measured(path, max_pixels=most)
        except RequestError as error:
            measured[key] = error
    found = measured[key]
    if isinstance(found, RequestError):
        raise found
    return found


def check_files(
    entries: Sequence[Entry], owned: Mapping[int, frozenset[str]], wrong: Wrong
) -> None:
    """Notes jobs whose files cannot be written, or would replace what is there."""
    for entry in entries:
        with wrong.row(entry.number):
            config, sources = entry.config, entry.request.sources
            record.check(
                entry.files, config, sources, owned.get(entry.number, frozenset())
            )
