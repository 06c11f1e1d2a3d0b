"""The command line, generated from config: each field of it is one flag.

Knows no JAX, so a wrong flag is answered at once. `arguments` reads the texts; here
they become a request: a preset or an earlier result, and what overrides it.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from nst_jax import __version__, arguments, citations, flagfile, preset, usage
from nst_jax.arguments import SETTINGS
from nst_jax.arguments import settings as settings
from nst_jax.config import Config, JobsConfig
from nst_jax.errors import RequestError

# What results of earlier versions name, and a run that starts from one decides anew.
_NOT_REPEATED = ("--preview_every=", "--save_every=")


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
    lambda: usage.text(Config, JobsConfig),
    own=JobsConfig,
)


class Request(NamedTuple):
    """What was asked for.

    `given` names the settings that flags and flagfiles set, `typed` those of them that
    stand on the command line itself, `preset` is empty without one, `sources` are the
    files that settings came from, `answer` is what --help and its like print instead
    of a run, and `own` holds the settings that are the program's own.
    """

    config: Config
    given: frozenset[str] = frozenset()
    preset: str = ""
    sources: tuple[str, ...] = ()
    answer: str = ""
    own: Any = None
    typed: frozenset[str] = frozenset()


class Given(NamedTuple):
    """What arguments say; of a preset or an earlier result no more than the name.

    `typed` names the settings on the command line itself, `files` are flagfiles.
    """

    values: dict[str, Any]
    typed: frozenset[str] = frozenset()
    files: tuple[str, ...] = ()


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
    return request(given(argv, program), read_settings=read_settings, program=program)


def given(argv: Sequence[str], program: Program = RUN) -> Given:
    """What the arguments say, flagfiles included."""
    chunks = list(flagfile.expand(argv))
    fields = _fields(program.own)
    alone = [chunk for chunk in chunks if not chunk.path]
    return Given(
        arguments.values(chunks, fields),
        _named(arguments.values(alone, fields)),
        tuple(chunk.path for chunk in chunks if chunk.path),
    )


def request(
    given: Given, *, read_settings: Callable[[str], str], program: Program = RUN
) -> Request:
    """The request in what is given; the arguments are those of `parse`."""
    chosen = given.values
    answer = _answer(chosen, program)
    if answer:
        return Request(Config(), answer=answer)
    values = {**program.defaults, **_base(chosen, read_settings), **chosen}
    config = _config(values)
    if chosen.get("cite"):
        return Request(config, answer=_citations(config, chosen.get("preset", "")))
    mine = own(values, program)
    _require(program.needed, config, mine)
    return Request(
        config=config,
        given=_named(chosen),
        preset=chosen.get("preset", ""),
        sources=tuple(filter(None, dict.fromkeys((*given.files, _picture(chosen))))),
        own=mine,
        typed=given.typed,
    )


def own(values: Mapping[str, Any], program: Program) -> Any:
    """The settings that only this program has; None if there are none."""
    return _group(program.own, values) if program.own else None


def origin(request: Request) -> str:
    """The preset that a request starts from, and what it changes of its numbers.

    With other weights it is not the preset any more.
    """
    if not request.preset:
        return ""
    text = preset.look_up(request.preset).text
    before, now = map(
        _flat, (_config(_base_values(flagfile.lines(text))), request.config)
    )
    changed = [
        name
        for name in sorted(request.given & SETTINGS.keys())
        if _is_number(SETTINGS[name]) and now[name] != before[name]
    ]
    is_foreign = not {"weights", "network"}.isdisjoint(changed)
    mark = " (not the preset: other weights)" if is_foreign else ""
    ends = f", changed: {', '.join(changed)}" if changed else ""
    return f"{request.preset}{mark}{ends}"


def _is_number(field: dataclasses.Field[Any]) -> bool:
    """Whether a setting is one of the numbers that make a preset what it is."""
    is_plain = field.metadata["stored"] == "always" and field.metadata["file"] == "no"
    return is_plain or field.name in ("weights", "init")


def _flat(config: Config) -> dict[str, Any]:
    """The value of every setting."""
    return {field.name: value for field, value in flagfile.settings(config)}


def _fields(own: Any) -> arguments.Fields:
    """All settings of a program: those of a run and its own."""
    more = dataclasses.fields(own) if own else ()
    return SETTINGS | {field.name: field for field in more}


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
            where, rows = f"preset {name}", flagfile.lines(preset.look_up(name).text)
        case {"from": _}:
            path = _picture(chosen)
            where, rows = f"settings in {path!r}", flagfile.lines(read_settings(path))
            # Results of versions that had no scales were made at one.
            rows = ["--scales=none", *rows]
            rows = [row for row in rows if not row.startswith(_NOT_REPEATED)]
        case _:
            return {}
    try:
        return _base_values(rows)
    except RequestError as error:
        raise RequestError(f"{where}: {error}") from None


def _named(values: Mapping[str, Any]) -> frozenset[str]:
    """The settings among the flags that have a value."""
    return frozenset(values.keys() - usage.NOT_SETTINGS.keys())


def _picture(chosen: Mapping[str, Any]) -> str:
    """The picture that --from names, empty without it."""
    named = {"content": chosen.get("from", "")}
    return str(arguments.changed(named, arguments.at_home)["content"])


def _base_values(rows: list[str]) -> dict[str, Any]:
    """Settings alone: a picture from elsewhere must not choose what is overwritten.

    Nor which folders are looked into: of a path only the name counts.
    """
    if any(row.lstrip("-").startswith("flagfile") for row in rows):
        raise RequestError("--flagfile may not stand there")
    values = arguments.read(rows)
    for name in values:
        if name not in SETTINGS or not flagfile.recorded(SETTINGS[name]):
            raise RequestError(f"--{name} may not stand there")
    values = arguments.changed(values, flagfile.bare)
    _config(values)
    return values


def _config(values: Mapping[str, Any]) -> Config:
    """All settings."""
    groups = flagfile.groups(Config).items()
    made: dict[str, Any] = {name: _group(group, values) for name, group in groups}
    return Config(**made)


def _group(group: Any, values: Mapping[str, Any]) -> Any:
    """One group of settings."""
    names = {field.name for field in dataclasses.fields(group)}
    return _filled(group, frozenset((n, values[n]) for n in names & values.keys()))


@functools.lru_cache(maxsize=128)
def _filled(group: Any, values: frozenset[tuple[str, Any]]) -> Any:
    """The same; of many jobs most groups are alike."""
    return group(**dict(values))


def _require(needed: Mapping[str, str], config: Config, own: Any) -> None:
    there = _flat(config) | (vars(own) if own else {})
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
