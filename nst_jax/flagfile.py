"""Settings as text: flagfiles, presets and the record that a run leaves.

A flagfile is UTF-8 text with one `--name=value` a line; blank lines and lines
that start with # or // are skipped. Relative paths in it are relative to the
working directory, also those of a `--flagfile` inside it. Lists have commas
between their entries; an entry that needs it stands in double quotes, as in CSV.
"""

import csv
import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

from nst_jax import __version__
from nst_jax.config import Config
from nst_jax.errors import RequestError

_LONGEST = 1 << 18  # bytes of all flagfiles together; a device may never end
_MOST = 100  # flagfiles, each counted whenever it is named
_WORDS = {int: "a whole number", float: "a number"}


class Chunk(NamedTuple):
    """Arguments that stand together, and what an error puts before its message."""

    where: str
    arguments: list[str]
    path: str  # of the flagfile, empty on the command line


class _Opened(NamedTuple):
    """A flagfile of which the rest is still to be read."""

    where: str
    identity: str
    rest: Iterator[str]


def expand(arguments: Sequence[str]) -> Iterator[Chunk]:
    """Yields the arguments in order, each `--flagfile` replaced by its contents."""
    opened = [_Opened("", "", iter(arguments))]  # each named in the one before
    files = length = 0
    while opened:
        here = opened[-1]
        plain, path = _up_to_flagfile(here.rest)
        yield Chunk(here.where, plain, here.identity)
        if path is None:
            opened.pop()
            continue
        text = _text_of(path)
        files, length = files + 1, length + len(text)
        identity = os.path.realpath(path)
        if any(identity == each.identity for each in opened):
            raise RequestError(
                f"{here.where}flagfile {path!r} includes itself; take it out"
            )
        # Without a loop they may still include each other for ever, two by two.
        if files > _MOST or length > _LONGEST:
            raise RequestError(
                f"the flagfiles have more than {_LONGEST} bytes together, or are more "
                f"than {_MOST}; the last is {path!r}"
            )
        opened.append(_Opened(f"{shown(path)}: ", identity, iter(lines(text))))


def _up_to_flagfile(rest: Iterator[str]) -> tuple[list[str], str | None]:
    """The arguments before the next flagfile, and its path if there is one."""
    plain: list[str] = []
    for argument in rest:
        flag, equals, path = argument.partition("=")
        if flag in ("--flagfile", "-flagfile"):
            return plain, os.path.expanduser(path if equals else next(rest, ""))
        plain.append(argument)
    return plain, None


def _text_of(path: str) -> str:
    try:
        with open(path, "rb") as file:
            content = file.read(_LONGEST + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RequestError(f"cannot read flagfile {path!r}: {reason}") from None
    if len(content) > _LONGEST:
        raise RequestError(
            f"flagfile {path!r} has more than {_LONGEST} bytes; give a flagfile"
        )
    if b"\0" in content:
        raise RequestError(f"flagfile {path!r} is not text in UTF-8; save it as UTF-8")
    # Windows' editors put a mark in front; file names need not be valid UTF-8.
    return content.decode("utf-8-sig", "surrogateescape")


def lines(text: str) -> list[str]:
    """The arguments in a flagfile's text.

    Blanks at the end of a value stay, because a file's name may end so.
    """
    rows = [line.rstrip("\r").lstrip() for line in text.split("\n")]
    rows = [row if "=" in row else row.rstrip() for row in rows]
    return [row for row in rows if row and not row.startswith(("#", "//"))]


def recorded(field: dataclasses.Field[Any]) -> bool:
    """Whether a setting is kept inside a picture: nothing of this machine or a run."""
    stored = field.metadata["stored"] == "always"
    return stored and field.metadata["file"] != "written"


def comments(rows: Sequence[str]) -> str:
    """What stands above `dump`: the program's version and these lines."""
    return "".join(f"# {shown(row)}\n" for row in (f"nst-jax {__version__}", *rows))


def dump(config: Config, *, folders: bool) -> str:
    """The flagfile that repeats a run.

    Write it as UTF-8 with `errors="surrogateescape"`.

    Args:
        config: All settings.
        folders: True for the file beside a result: paths are made absolute. False
            for the record inside a picture: names only, and no written files.
    """
    rows: list[str] = []
    for name, group in groups(Config).items():
        rows += ["", f"# {heading(group)}"]
        for field in dataclasses.fields(group):
            beside = folders and field.metadata["stored"] != "never"
            if recorded(field) or beside:
                value = getattr(getattr(config, name), field.name)
                value = changed(field, value, _absolute if folders else bare)
                rows.append(f"--{field.name}={to_text(value)}")
    text = "\n".join(rows) + "\n"
    # A picture's text must be Unicode, which undecodable file names are not.
    return text if folders else text.encode("utf-8", "replace").decode("utf-8")


def groups(config: type) -> dict[str, Any]:
    """The settings classes that a config is made of, by field."""
    return {field.name: field.type for field in dataclasses.fields(config)}


def heading(group: type) -> str:
    """What a group of settings is about, in one line."""
    return (group.__doc__ or group.__name__).partition("\n")[0]


def settings(config: Config) -> Iterator[tuple[dataclasses.Field[Any], Any]]:
    """Every field with its value."""
    for name, group in groups(Config).items():
        for field in dataclasses.fields(group):
            yield field, getattr(getattr(config, name), field.name)


def is_path(field: dataclasses.Field[Any], value: str) -> bool:
    """Whether the text in a setting names a file."""
    if field.metadata["file"] == "no" or not value:
        return False
    if field.name == "weights" and not set(value) & set("./\\"):
        return False  # a known name has neither a suffix nor a folder
    return value not in field.metadata["words"]


def changed(
    field: dataclasses.Field[Any],
    value: Any,
    change: Callable[[dataclasses.Field[Any], str], str],
) -> Any:
    """A setting's value, its paths changed."""
    if isinstance(value, tuple):
        return tuple(changed(field, item, change) for item in value)
    if isinstance(value, str) and is_path(field, value):
        return change(field, value)
    return value


def bare(field: dataclasses.Field[Any], path: str) -> str:
    """A path without its folders."""
    name = Path(path).name
    # A file may be called as a keyword is: --init=./noise.
    return name if is_path(field, name) else f"./{name}"


def _absolute(field: dataclasses.Field[Any], path: str) -> str:
    whole = str(Path(path).absolute())
    if any(ord(character) < 32 for character in whole):
        raise RequestError(
            f"--{field.name} must not lie in a folder with control characters in its "
            f"name, got {whole!r}"
        )
    return whole


def to_text(value: Any) -> str:
    """A setting's value as it is written after the equals sign.

    >>> to_text(("a.jpg", "b, c.jpg"))
    'a.jpg,"b, c.jpg"'
    """
    if isinstance(value, tuple):
        return ",".join(_quoted(to_text(item)) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _quoted(entry: str) -> str:
    if entry and entry == entry.strip() and not set(entry) & {",", '"'}:
        return entry
    return '"' + entry.replace('"', '""') + '"'


def from_text(name: str, kind: Any, text: str) -> Any:
    """The value of a setting, from its text and type.

    >>> from_text("style", tuple[str, ...], 'a.jpg,"b, c.jpg"')
    ('a.jpg', 'b, c.jpg')
    """
    if get_origin(kind) is tuple:
        item = get_args(kind)[0]
        return tuple(from_text(name, item, entry) for entry in _entries(name, text))
    if get_origin(kind) is Literal:
        return _choice(name, get_args(kind), text.strip())
    if kind is str:
        return text
    try:
        number = kind(text)
    except ValueError:
        number = None
    # Larger integers could not be compared with a float, nor given to JAX.
    if number is None or (kind is int and number.bit_length() > 63):
        raise RequestError(f"--{name} must be {_WORDS[kind]}, got {text!r}")
    return number


def _choice(name: str, choices: tuple[str, ...], text: str) -> str:
    if text not in choices:
        raise RequestError(
            f"--{name} must be one of {', '.join(choices)}, got {text!r}"
        )
    return text


def _entries(name: str, text: str) -> list[str]:
    try:
        rows = list(csv.reader([text], skipinitialspace=True, strict=True))
    except csv.Error:
        rows = []
    if text and len(rows) != 1:
        raise RequestError(
            f"--{name} must be entries with commas between, in double quotes where "
            f"one holds a comma or a quote, got {text!r}"
        )
    return rows[0] if text else []


def shown(text: str) -> str:
    """Text as it is, or quoted and escaped where it would mislead in a message."""
    return text if text.isprintable() and text == text.strip() else repr(text)
