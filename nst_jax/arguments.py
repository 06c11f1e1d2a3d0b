"""Arguments as text to the values of flags: the room that talks to absl.

absl reads the arguments into a set of flags of its own: nothing is shared with other
programs' flags, and every mistake becomes a RequestError.
"""

import dataclasses
import difflib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from absl import flags as absl_flags

from nst_jax import flagfile, usage
from nst_jax.config import Config
from nst_jax.errors import RequestError

Fields = Mapping[str, dataclasses.Field[Any]]

_LONGEST_NAME = 100


def settings(config: type) -> dict[str, dataclasses.Field[Any]]:
    """Every setting by its flat name; two of one name, or its negation, are a fault."""
    found: dict[str, dataclasses.Field[Any]] = {}
    for group in flagfile.groups(config).values():
        for field in dataclasses.fields(group):
            taken = {*found, *usage.NOT_SETTINGS, *(f"no{name}" for name in found)}
            if {field.name, f"no{field.name}"} & taken:
                raise TypeError(f"two flags would be called --{field.name}")
            found[field.name] = field
    return found


SETTINGS = settings(Config)


def values(chunks: Iterable[flagfile.Chunk], fields: Fields) -> dict[str, Any]:
    """The value of every flag that is there; of two with one name the later wins."""
    found: dict[str, Any] = {}
    for where, arguments, _ in chunks:
        try:
            found |= changed(read(arguments, fields), at_home, fields)
        except RequestError as error:
            raise RequestError(f"{where}{error}") from None
    return found


def changed(
    values: Mapping[str, Any],
    change: Callable[[dataclasses.Field[Any], str], str],
    fields: Fields = SETTINGS,
) -> dict[str, Any]:
    """The values, the paths in them changed."""
    return {
        name: flagfile.changed(fields[name], value, change) if name in fields else value
        for name, value in values.items()
    }


def at_home(field: dataclasses.Field[Any] | None, path: str) -> str:
    """The path with `~` replaced by the user's folder."""
    del field
    return path if "\0" in path else os.path.expanduser(path)  # which asks the system


def read(arguments: Sequence[str], fields: Fields = SETTINGS) -> dict[str, Any]:
    """The values of the flags in one list of arguments."""
    for argument in arguments:
        flag = argument.partition("=")[0]
        # absl's own flag, which would let every misspelt one pass.
        if flag in ("--undefok", "-undefok"):
            raise RequestError(_unknown("undefok", fields))
        # absl looks for what resembles it, by a function that calls itself.
        if flag.startswith("-") and len(flag) > _LONGEST_NAME:
            raise RequestError(_unknown(flag.lstrip("-")[:_LONGEST_NAME], fields))
    known = _definitions(fields)
    try:
        _, *strays = known(["nst-jax", *_completed(arguments, fields)])
    except absl_flags.UnrecognizedFlagError as error:
        raise RequestError(_unknown(error.flagname, fields)) from None
    except absl_flags.IllegalFlagValueError as error:
        # "flag --quiet=3: ..."; only switches are converted here.
        name = str(error).removeprefix("flag --").partition("=")[0]
        raise RequestError(
            f"--{name} must be true or false, got another value; write --{name} or "
            f"--no{name}"
        ) from None
    except (absl_flags.Error, ValueError) as error:
        message = flagfile.shown(str(error))
        raise RequestError(f"{message}; --help shows how it is written") from None
    if strays:
        raise RequestError(
            f"unexpected argument {strays[0]!r}: everything is a flag, such as "
            f"--content=photo.jpg; quote a value that holds blanks"
        )
    return {
        name: _value(name, known[name].value, fields)
        for name in (*usage.NOT_SETTINGS, *fields)
        if known[name].present
    }


def cell(name: str, text: str) -> Any:
    """The value of a flag, from the text of a table's cell."""
    if name in usage.NOT_SETTINGS:
        return text
    if not _is_switch(name, SETTINGS):
        return flagfile.from_text(name, SETTINGS[name].type, text)
    word = text.strip().lower()
    if word not in ("true", "false"):
        raise RequestError(
            f"--{name} must be true or false, got {flagfile.shown(text)}"
        )
    return word == "true"


def near(name: str, known: Iterable[str]) -> str:
    """A question after the known name that looks like this one, if one does."""
    found = difflib.get_close_matches(name.lower()[:_LONGEST_NAME], [*known], n=1)
    return f"did you mean {found[0]}?" if found else ""


def _completed(arguments: Sequence[str], fields: Fields) -> list[str]:
    """The arguments with a value for each flag that may stand alone and does."""
    alone = {
        f"--{name}": f"--{name}={field.metadata['alone']}"
        for name, field in fields.items()
        if field.metadata.get("alone")
    }
    return [alone.get(argument, argument) for argument in arguments]


def _value(name: str, value: Any, fields: Fields) -> Any:
    if name in usage.NOT_SETTINGS or _is_switch(name, fields):
        return value
    return flagfile.from_text(name, fields[name].type, value)


def _definitions(fields: Fields) -> absl_flags.FlagValues:
    """Flags not yet read; all but switches are texts, which from_text converts."""
    known = absl_flags.FlagValues()  # type: ignore[no-untyped-call]  # absl's gap
    for name in [*usage.NOT_SETTINGS, *fields]:
        short = "h" if name == "help" else None
        if _is_switch(name, fields):
            absl_flags.DEFINE_boolean(
                name, None, "", flag_values=known, short_name=short
            )
        else:
            absl_flags.DEFINE_string(name, None, "", flag_values=known)
    return known


def _is_switch(name: str, fields: Fields) -> bool:
    return name in ("help", "version", "cite") or (
        name in fields and fields[name].type is bool
    )


def _unknown(name: str, fields: Fields) -> str:
    switches = [f"no{setting}" for setting in fields if _is_switch(setting, fields)]
    known = [*usage.NOT_SETTINGS, *fields, *switches]
    near = difflib.get_close_matches(name.lower(), known, n=1)
    first, _, rest = name.partition(" ")
    if first in known and rest.strip():
        right = flagfile.shown(f"--{first}={rest.strip()}")
        return f"{flagfile.shown(f'--{name}')}: write {right}"
    hint = f"did you mean --{near[0]}?" if near else "--help lists all"
    return f"unknown flag {flagfile.shown(f'--{name}')}; {hint}"
