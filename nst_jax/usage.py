"""What --help prints: every flag with its help, range and default, by concern."""

import dataclasses
import math
import textwrap
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from nst_jax import __version__, flagfile

# Flags that say where settings come from, or ask a question.
NOT_SETTINGS = {
    "preset": "Published settings to start from; --preset=help lists them.",
    "from": "An earlier result whose stored settings are the start.",
    "flagfile": "Flags from a file, as if they stood here; of two the later wins.",
    "help": "Print this; -h is the same.",
    "cite": "Print the BibTeX of what such a run rests on.",
    "version": "Print the version.",
}
_WORDS = {"preset": "=NAME", "from": "=PICTURE", "flagfile": "=FILE"}
_KINDS = {int: "N", float: "X", str: "TEXT"}
_INTRODUCTION = f"""\
nst-jax {__version__}: neural style transfer by optimising an image

python -m nst_jax.run --content=PHOTO --style=PAINTING[,MORE] --output=PICTURE [FLAGS]

Lists have commas between their entries; an entry that holds a comma stands in
double quotes. A flagfile holds one flag a line; # starts a comment line; relative
paths in it are relative to the working directory. A preset or an earlier result is
the start; flags and flagfiles override it, wherever they stand.

python -m nst_jax.show looks into the network and compares pictures;
python -m nst_jax.pretrained fetches, lists and converts weights.
"""
_WIDTH = 88
_COLUMN = 28


def text(config: type, *more: type) -> str:
    """The whole of it, for the settings of `config` and more groups of them."""
    own = [
        entry(f"--{name}{_WORDS.get(name, '')}", about)
        for name, about in NOT_SETTINGS.items()
    ]
    sections = [[_INTRODUCTION], ["Where settings come from.", *own, ""]]
    for group in (*flagfile.groups(config).values(), *more):
        fields = dataclasses.fields(group)
        sections.append([flagfile.heading(group), *map(described, fields), ""])
    return "\n".join(row for section in sections for row in section).rstrip("\n")


def described(field: dataclasses.Field[Any]) -> str:
    """The row of a setting."""
    return entry(_spelling(field), _about(field))


def entry(spelling: str, about: str) -> str:
    """A row of two columns; what does not fit the first stands alone above."""
    indent = " " * _COLUMN
    rows = textwrap.wrap(
        about, _WIDTH - _COLUMN, break_long_words=False, break_on_hyphens=False
    )
    first = f"  {spelling}".ljust(_COLUMN)
    if first.endswith(" "):
        first += rows.pop(0) if rows else ""
    return f"\n{indent}".join([first.rstrip(), *rows])


def _spelling(field: dataclasses.Field[Any]) -> str:
    kind: Any = field.type
    if kind is bool:
        negation = f", --no{field.name}" if field.default else ""
        return f"--{field.name}{negation}"
    many = ""
    if get_origin(kind) is tuple:
        kind, many = get_args(kind)[0], ",..."
    word = "CHOICE" if get_origin(kind) is Literal else _KINDS[kind]
    if field.metadata["file"] != "no":
        word = "FILE"
    if field.metadata["alone"]:
        return f"--{field.name}[={word}]"
    return f"--{field.name}={word}{many}"


def _about(field: dataclasses.Field[Any]) -> str:
    notes = "; ".join(_notes(field))
    return field.metadata["help"] + (f" ({notes})" if notes else "")


def _notes(field: dataclasses.Field[Any]) -> Iterator[str]:
    if get_origin(field.type) is Literal:
        yield ", ".join(get_args(field.type))
    low, high = field.metadata["low"], field.metadata["high"]
    if high < math.inf:
        yield f"{low} to {high}"
    elif low > -math.inf:
        yield f"at least {low}"
    if field.type is bool:
        yield "default on" if field.default else "default off"
    elif isinstance(field.default, float):
        yield f"default {field.default:g}"
    elif field.default not in ("", ()):
        yield f"default {flagfile.to_text(field.default)}"
