"""Settings with several values: which of them vary, and the variations they make.

Works on the arguments as they are written, so that each variation is read and checked
as a request of its own. Knows no JAX.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_origin

from nst_jax import flagfile, flags
from nst_jax.config import Config, OutputConfig
from nst_jax.errors import RequestError

_MOST_AXES, _MOST = 3, 256


class Axis(NamedTuple):
    """A setting and its values, as they are written."""

    name: str
    texts: tuple[str, ...]


def _varied() -> dict[str, Any]:
    """The types of the settings that may vary: those with a single value.

    Each variation has one style, so --style and its scale are single here.
    """
    kinds: dict[str, Any] = {"preset": str}
    own = {field.name for field in dataclasses.fields(OutputConfig)}
    for name, field in flags.settings(Config).items():
        kind, counts = field.type, field.metadata["stored"] == "always"
        single = kind in (int, float, bool) or get_origin(kind) is Literal
        single = single and counts and name not in own
        if single or name in ("style", "style_scale", "init"):
            kinds[name] = kind
    return kinds


_KINDS = _varied()


def split(
    arguments: Sequence[str], defaults: Mapping[str, Any]
) -> tuple[list[str], list[Axis]]:
    """The arguments without settings that have several values, and those settings.

    The defaults stand in front, so that they count against a preset as well.

    >>> split(["--steps=5", "--style_weight=1,2"], {"size": 192})
    (['--size=192', '--steps=5'], [Axis(name='style_weight', texts=('1', '2'))])
    """
    plain = [f"--{name}={flagfile.to_text(value)}" for name, value in defaults.items()]
    found: dict[str, Axis] = {}
    queue = iter(arguments)
    for argument in queue:
        flag, equals, text = argument.partition("=")
        name = flag.lstrip("-")
        if not argument.startswith("-") or name not in _KINDS:
            plain.append(argument)
            continue
        given = [argument]
        if not equals and _KINDS[name] is not bool:
            given += itertools.islice(queue, 1)
            text = given[-1]
        found.pop(name, None)  # of two with one name the later counts
        texts = _texts(name, text)
        if len(texts) > 1:
            found[name] = Axis(name, texts)
        else:
            plain += given
    _check([*found.values()])
    return plain, [*found.values()]


def _texts(name: str, text: str) -> tuple[str, ...]:
    """The values in a list, each once."""
    if "," not in text:
        return (text,)
    return tuple(dict.fromkeys(flagfile.from_text(name, tuple[str, ...], text)))


def _check(axes: Sequence[Axis]) -> None:
    if len(axes) > _MOST_AXES:
        names = ", ".join(f"--{axis.name}" for axis in axes)
        raise RequestError(
            f"sweep varies {_MOST_AXES} settings at most, got several values for "
            f"{names}; give one value for some of them"
        )
    count = math.prod(len(axis.texts) for axis in axes)
    if count > _MOST:
        raise RequestError(
            f"sweep makes {_MOST} pictures at most, got {count}; give fewer values"
        )


def arguments(plain: Sequence[str], axes: Sequence[Axis]) -> Iterator[list[str]]:
    """The arguments of each variation; the first setting changes fastest."""
    for texts in combinations(axes):
        own = (
            f"--{axis.name}={_as_flag(axis.name, text)}"
            for axis, text in zip(axes, texts, strict=True)
        )
        yield [*plain, *own]


def _as_flag(name: str, text: str) -> str:
    return flagfile.to_text((text,)) if get_origin(_KINDS[name]) is tuple else text


def combinations(axes: Sequence[Axis]) -> Iterator[tuple[str, ...]]:
    """The values of each variation, one of each axis, in the sheet's order."""
    backwards = [axis.texts for axis in reversed(axes)]
    return (texts[::-1] for texts in itertools.product(*backwards))


def named(axes: Sequence[Axis], texts: Sequence[str]) -> str:
    """The values of a variation with their settings; of files the names."""
    return ", ".join(
        Path(text).name if axis.name == "style" else f"{axis.name}={text}"
        for axis, text in zip(axes, texts, strict=True)
    )
