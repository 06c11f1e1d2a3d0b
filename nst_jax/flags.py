"""The command line, generated from config.py: each field of it is one flag.

Knows no JAX, so a wrong flag is answered at once. absl reads the arguments into
a set of flags of its own: nothing is shared with other programs' flags, and every
mistake becomes a RequestError.
"""

import dataclasses
import difflib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from absl import flags as absl_flags

from nst_jax import __version__, flagfile, usage
from nst_jax.config import Config
from nst_jax.errors import RequestError


class Request(NamedTuple):
    """What was asked for.

    `given` names the settings that flags and flagfiles set, `preset` is empty
    without one, `sources` are the files that settings came from, and `answer` is what
    --help and its like print instead of a run.
    """

    config: Config
    given: frozenset[str] = frozenset()
    preset: str = ""
    sources: tuple[str, ...] = ()
    answer: str = ""


def parse(argv: Sequence[str], *, read_settings: Callable[[str], str]) -> Request:
    """The request in the arguments that follow the program's name.

    Args:
        argv: Flags in any order; of two with one name the later wins.
        read_settings: The text that a picture keeps of its settings, from its path.
    """
    chunks = list(flagfile.expand(argv))
    chosen = _values(chunks)
    answer = _answer(chosen)
    if answer:
        return Request(Config(), answer=answer)
    config = _config(_base(chosen, read_settings) | chosen)
    _require_files(config)
    given = frozenset(chosen) - usage.NOT_SETTINGS.keys()
    sources = dict.fromkeys([*(chunk.path for chunk in chunks), _picture(chosen)])
    return Request(config, given, chosen.get("preset", ""), (*filter(None, sources),))


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


_SETTINGS = settings(Config)


def _values(chunks: Iterable[flagfile.Chunk]) -> dict[str, Any]:
    """The value of every flag that is there."""
    found: dict[str, Any] = {}
    for where, arguments, _ in chunks:
        try:
            found |= _changed(_chunk_values(arguments), _at_home)
        except RequestError as error:
            raise RequestError(f"{where}{error}") from None
    return found


def _changed(
    values: Mapping[str, Any],
    change: Callable[[dataclasses.Field[Any], str], str],
) -> dict[str, Any]:
    """The values, the paths in them changed."""
    return {
        name: flagfile.changed(_SETTINGS[name], value, change)
        if name in _SETTINGS
        else value
        for name, value in values.items()
    }


def _at_home(field: dataclasses.Field[Any], path: str) -> str:
    """The path with `~` replaced by the user's folder."""
    del field
    return path if "\0" in path else os.path.expanduser(path)  # which asks the system


def _chunk_values(arguments: list[str]) -> dict[str, Any]:
    for argument in arguments:
        # absl's own flag, which would let every misspelt one pass.
        if argument.partition("=")[0] in ("--undefok", "-undefok"):
            raise RequestError(_unknown("undefok"))
    known = _definitions()
    try:
        _, *strays = known(["nst-jax", *arguments])
    except absl_flags.UnrecognizedFlagError as error:
        raise RequestError(_unknown(error.flagname)) from None
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
        name: _value(name, known[name].value) for name in known if known[name].present
    }


def _value(name: str, value: Any) -> Any:
    if name in usage.NOT_SETTINGS or _is_switch(name):
        return value
    return flagfile.from_text(name, _SETTINGS[name].type, value)


def _definitions() -> absl_flags.FlagValues:
    """Flags not yet read; all but switches are texts, which from_text converts."""
    known = absl_flags.FlagValues()  # type: ignore[no-untyped-call]  # absl's gap
    for name in [*usage.NOT_SETTINGS, *_SETTINGS]:
        if _is_switch(name):
            absl_flags.DEFINE_boolean(name, None, "", flag_values=known)
        else:
            absl_flags.DEFINE_string(name, None, "", flag_values=known)
    return known


def _is_switch(name: str) -> bool:
    return name in ("help", "version") or (
        name in _SETTINGS and _SETTINGS[name].type is bool
    )


def _unknown(name: str) -> str:
    switches = [f"no{setting}" for setting in _SETTINGS if _is_switch(setting)]
    known = [*usage.NOT_SETTINGS, *_SETTINGS, *switches]
    near = difflib.get_close_matches(name.lower(), known, n=1)
    first, _, rest = name.partition(" ")
    if first in known and rest.strip():
        return f"{flagfile.shown(f'--{name}')}: write --{first}={rest.strip()}"
    hint = f"did you mean --{near[0]}?" if near else "--help lists all"
    return f"unknown flag {flagfile.shown(f'--{name}')}; {hint}"


def _base(
    chosen: Mapping[str, Any], read_settings: Callable[[str], str]
) -> dict[str, Any]:
    """The settings that flags override: a preset's, an earlier result's, or none."""
    match chosen:
        case {"preset": name, "from": path}:
            raise RequestError(
                f"--preset={flagfile.shown(name)} and --from={flagfile.shown(path)} "
                f"are both a start; give one of them"
            )
        case {"preset": name}:
            where, text = f"preset {name}", _preset(name)
        case {"from": _}:
            path = _picture(chosen)
            where, text = f"settings in {path!r}", read_settings(path)
        case _:
            return {}
    try:
        return _base_values(flagfile.lines(text))
    except RequestError as error:
        raise RequestError(f"{where}: {error}") from None


def _picture(chosen: Mapping[str, Any]) -> str:
    """The picture that --from names, empty without it."""
    return str(_changed({"content": chosen.get("from", "")}, _at_home)["content"])


def _base_values(rows: list[str]) -> dict[str, Any]:
    """Settings alone: a picture from elsewhere must not choose what is overwritten.

    Nor which folders are looked into: of a path only the name counts.
    """
    if any(row.lstrip("-").startswith("flagfile") for row in rows):
        raise RequestError("--flagfile may not stand there")
    values = _chunk_values(rows)
    for name in values:
        if name not in _SETTINGS or not flagfile.recorded(_SETTINGS[name]):
            raise RequestError(f"--{name} may not stand there")
    values = _changed(values, flagfile.bare)
    _config(values)
    return values


def _preset(name: str) -> str:
    texts = flagfile.presets()
    if name not in texts:
        near = difflib.get_close_matches(name, texts, n=1)
        hint = f"did you mean {near[0]}?" if near else "--preset=help lists them"
        raise RequestError(f"unknown preset {name!r}; {hint}")
    return texts[name]


def _config(values: Mapping[str, Any]) -> Config:
    """All settings; a message about one of them names its flag."""
    made: dict[str, Any] = {}
    try:
        for name, group in flagfile.groups(Config).items():
            names = {field.name for field in dataclasses.fields(group)}
            made[name] = group(**{key: values[key] for key in names & values.keys()})
        return Config(**made)
    except RequestError as error:
        message = str(error)
        dashes = "--" if message.partition(" ")[0] in _SETTINGS else ""
        raise RequestError(f"{dashes}{message}") from None


def _require_files(config: Config) -> None:
    missing = {
        "--content": not config.inputs.content,
        "--style": not (config.inputs.style and all(config.inputs.style)),
        "--output": not config.output.output,
    }
    names = [name for name, absent in missing.items() if absent]
    if names:
        raise RequestError(
            f"missing {' and '.join(names)}: write --content=PHOTO --style=PAINTING "
            f"--output=PICTURE; --help explains"
        )


def _answer(chosen: Mapping[str, Any]) -> str:
    if chosen.get("help"):
        return usage.text(Config)
    if chosen.get("version"):
        return f"nst-jax {__version__}"
    if chosen.get("preset") == "help":
        rows = flagfile.presets().items()
        return "\n".join(
            usage.entry(name, flagfile.summary(text)) for name, text in rows
        )
    return ""
