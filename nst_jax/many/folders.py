"""Folders of pictures: each content in each style."""

import collections
import os
from pathlib import Path
from typing import Any, NamedTuple

from nst_jax.errors import RequestError
from nst_jax.images import SUFFIXES
from nst_jax.many.manifest import Row


class Found(NamedTuple):
    """The jobs that folders make, and what is to be told of that."""

    rows: list[Row]
    said: list[str]


def read(values: dict[str, Any]) -> Found:
    """The jobs of --content and --style, of which at least one is a folder."""
    said: list[str] = []
    contents: list[str | None] = [None]  # a texture has none
    if values.get("content"):
        contents = [*_pictures("content", values["content"], said)]
    given = values.get("style", ())
    styles = [given]
    if any(map(os.path.isdir, given)):
        if len(given) > 1:
            raise RequestError(
                "--style must be one folder, or pictures with commas between, got "
                f"{', '.join(map(repr, given))[:200]}; to mix styles, give a --manifest"
            )
        styles = [(path,) for path in _pictures("style", given[0], said)]
    pairs = [(content, style) for content in contents for style in styles]
    names = _full_names([content or "" for content in contents])
    names |= _full_names([style[0] for style in styles if len(style) == 1])
    rows = [
        Row(number, _row(content, style, names))
        for number, (content, style) in enumerate(pairs, 1)
    ]
    return Found(rows, said)


def _row(
    content: str | None, style: tuple[str, ...], names: set[str]
) -> dict[str, Any]:
    """The flags of one job; it has a name of its own where the usual one is taken."""
    row: dict[str, Any] = {"style": style} | ({"content": content} if content else {})
    if names.isdisjoint((content, *style)):
        return row
    parts = ([content] if content else []), style
    mixed = ["+".join(_name(path, names) for path in each) for each in parts]
    return {**row, "output": f"{'_'.join(filter(None, mixed))}.png"}


def _name(path: str, names: set[str]) -> str:
    return Path(path).name if path in names else Path(path).stem


def _full_names(paths: list[str]) -> set[str]:
    """Those that only their suffixes tell apart: x.jpg and x.png."""
    stems = [Path(path).stem.casefold() for path in paths]
    count = collections.Counter(stems)
    return {path for path, stem in zip(paths, stems, strict=True) if count[stem] > 1}


def _pictures(role: str, path: str, said: list[str]) -> list[str]:
    """The pictures in a folder, in order, or the one that is named."""
    if not os.path.isdir(path):
        return [path]
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        raise RequestError(
            f"--{role}={path!r} cannot be read ({error.strerror}); check who may"
        ) from None
    taken = [name for name in names if _is_picture(Path(path, name))]
    left = [name for name in names if name not in {*taken}]
    if not taken:
        raise RequestError(
            f"--{role}={path!r} is a folder without pictures; give one that holds some "
            f"({' '.join(SUFFIXES)}), or a picture"
        )
    more = f", without {_some(left)}" if left else ""
    plural = "s" * (len(taken) > 1)
    said.append(f"{len(taken)} {role}{plural} of {path!r}{more}")
    return [os.path.join(path, name) for name in taken]


def _is_picture(path: Path) -> bool:
    is_hidden = path.name.startswith(".")
    return not is_hidden and path.suffix.lower() in SUFFIXES and path.is_file()


def _some(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:5]))
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
