"""The command line, generated from config: each field of it is one flag.

Knows no JAX, so a wrong flag is answered at once. absl reads the arguments into
a set of flags of its own: nothing is shared with other programs' flags, and every
mistake becomes a RequestError.
"""

import dataclasses
import difflib
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from absl import flags as absl_flags

from nst_jax import __version__, citations, flagfile, preset, usage
from nst_jax.config import Config
from nst_jax.errors import RequestError

Fields = Mapping[str, dataclasses.Field[Any]]


class Program(NamedTuple):
    """Whose command line it is.

    `needed` are the flags that must be there, each with a word for its value; `own`
    is a dataclass of settings that only this program has; `defaults` are the settings
    in which it differs from config.
    """

    needed: Mapping[str, str]
    help: Callable[[], str]
    own: Any = None
    defaults: Mapping[str, Any] = MappingProxyType({})


RUN = Program(
    {"content": "PHOTO", "style": "PAINTING", "output": "PICTURE"},
    lambda: usage.text(Config),
)


class Request(NamedTuple):
    """What was asked for.

    `given` names the settings that flags and flagfiles set, `preset` is empty
    without one, `sources` are the files that settings came from, `answer` is what
    --help and its like print instead of a run, and `own` holds the settings that are
    the program's own.
    """

    config: Config
    given: frozenset[str] = frozenset()
    preset: str = ""
    sources: tuple[str, ...] = ()
    answer: str = ""
    own: Any = None


def parse(
    argv: Sequence[str],
    *,
    read_settings: Callable[[str], str],
    program: Program = RUN,
) -> Request:
    """The request in the arguments that follow the program's name.

    Args:
        argv: Flags in any order; of two with one name the later wins.
        read_settings: The text that a picture keeps of its settings, from its path.
        program: Whose flags they are.
    """
    chunks = list(flagfile.expand(argv))
    chosen = _values(chunks, _fields(program.own))
    answer = _answer(chosen, program)
    if answer:
        return Request(Config(), answer=answer)
    values = {**program.defaults, **_base(chosen, read_settings), **chosen}
    config = _config(values)
    if chosen.get("cite"):
        return Request(config, answer=_citations(config, chosen.get("preset", "")))
    own = _group(program.own, values) if program.own else None
    _require(program.needed, config, own)
    return Request(
        config=config,
        given=frozenset(chosen) - usage.NOT_SETTINGS.keys(),
        preset=chosen.get("preset", ""),
        sources=_sources(chunks, chosen),
        own=own,
    )


def origin(request: Request) -> str:
    """The preset that a request starts from, and what it changes of its numbers.

    With other weights it is not the preset any more.
    """
    if not request.preset:
        return ""
    about = {name: _SETTINGS[name].metadata for name in sorted(request.given)}
    changed = [
        name
        for name, each in about.items()
        if name in ("weights", "init")
        or (each["stored"] == "always" and each["file"] == "no")
    ]
    is_foreign = not {"weights", "network"}.isdisjoint(changed)
    mark = " (not the preset: other weights)" if is_foreign else ""
    ends = f", changed: {', '.join(changed)}" if changed else ""
    return f"{request.preset}{mark}{ends}"


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


def _fields(own: Any) -> Fields:
    """All settings of a program: those of a run and its own."""
    more = dataclasses.fields(own) if own else ()
    return _SETTINGS | {field.name: field for field in more}


def _values(chunks: Iterable[flagfile.Chunk], fields: Fields) -> dict[str, Any]:
    """The value of every flag that is there."""
    found: dict[str, Any] = {}
    for where, arguments, _ in chunks:
        try:
            values = _chunk_values(arguments, fields)
            found |= _changed(values, _at_home, fields)
        except RequestError as error:
            raise RequestError(f"{where}{error}") from None
    return found


def _changed(
    values: Mapping[str, Any],
    change: Callable[[dataclasses.Field[Any], str], str],
    fields: Fields = _SETTINGS,
) -> dict[str, Any]:
    """The values, the paths in them changed."""
    return {
        name: flagfile.changed(fields[name], value, change) if name in fields else value
        for name, value in values.items()
    }


def _at_home(field: dataclasses.Field[Any], path: str) -> str:
    """The path with `~` replaced by the user's folder."""
    del field
    return path if "\0" in path else os.path.expanduser(path)  # which asks the system


def _chunk_values(arguments: list[str], fields: Fields = _SETTINGS) -> dict[str, Any]:
    for argument in arguments:
        # absl's own flag, which would let every misspelt one pass.
        if argument.partition("=")[0] in ("--undefok", "-undefok"):
            raise RequestError(_unknown("undefok", fields))
    known = _definitions(fields)
    try:
        _, *strays = known(["nst-jax", *arguments])
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
        for name in known
        if known[name].present
    }


def _value(name: str, value: Any, fields: Fields) -> Any:
    if name in usage.NOT_SETTINGS or _is_switch(name, fields):
        return value
    return flagfile.from_text(name, fields[name].type, value)


def _definitions(fields: Fields) -> absl_flags.FlagValues:
    """Flags not yet read; all but switches are texts, which from_text converts."""
    known = absl_flags.FlagValues()  # type: ignore[no-untyped-call]  # absl's gap
    for name in [*usage.NOT_SETTINGS, *fields]:
        if _is_switch(name, fields):
            absl_flags.DEFINE_boolean(name, None, "", flag_values=known)
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
            where, text = f"preset {name}", preset.look_up(name).text
        case {"from": _}:
            path = _picture(chosen)
            where, text = f"settings in {path!r}", read_settings(path)
            # Results of versions that had no scales were made at one.
            text = f"--scales=none\n{text}"
        case _:
            return {}
    try:
        return _base_values(flagfile.lines(text))
    except RequestError as error:
        raise RequestError(f"{where}: {error}") from None


def _sources(
    chunks: Iterable[flagfile.Chunk], chosen: Mapping[str, Any]
) -> tuple[str, ...]:
    """The files that settings came from, each once."""
    found = [*(chunk.path for chunk in chunks), _picture(chosen)]
    return tuple(path for path in dict.fromkeys(found) if path)


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


def _config(values: Mapping[str, Any]) -> Config:
    """All settings; a message about one of them names its flag."""
    groups = flagfile.groups(Config).items()
    made = {name: _group(group, values) for name, group in groups}
    return _flagged(lambda: Config(**made))


def _group(group: Any, values: Mapping[str, Any]) -> Any:
    """One group of settings."""
    names = {field.name for field in dataclasses.fields(group)}
    chosen = {name: values[name] for name in names & values.keys()}
    return _flagged(lambda: group(**chosen), names)


def _flagged(made: Callable[[], Any], names: Collection[str] = _SETTINGS) -> Any:
    """What is made; a message that begins with a setting's name gets its dashes."""
    try:
        return made()
    except RequestError as error:
        message = str(error)
        dashes = "--" if message.partition(" ")[0] in names else ""
        raise RequestError(f"{dashes}{message}") from None


def _require(needed: Mapping[str, str], config: Config, own: Any) -> None:
    there = {field.name: value for field, value in flagfile.settings(config)}
    there |= vars(own) if own else {}
    spared = {"content"} if config.is_texture() else set()
    missing = [name for name in needed if not _is_given(there[name])]
    missing = [name for name in missing if name not in spared]
    if missing:
        names = " and ".join(f"--{name}" for name in missing)
        flags = " ".join(f"--{name}={word}" for name, word in needed.items())
        raise RequestError(f"missing {names}: write {flags}; --help explains")


def _is_given(value: Any) -> bool:
    return bool(value) and (not isinstance(value, tuple) or all(value))


def _answer(chosen: Mapping[str, Any], program: Program) -> str:
    if chosen.get("help"):
        return program.help()
    if chosen.get("version"):
        return f"nst-jax {__version__}"
    if chosen.get("preset") == "help":
        rows = [
            usage.entry(row.name, f"{row.summary} Evidence: {row.evidence}")
            for row in preset.every().values()
        ]
        return "\n".join([*rows, "", preset.KEY])
    return ""


def _citations(config: Config, name: str) -> str:
    return citations.text(config, preset.look_up(name) if name else None)
