"""What a setting is: a dataclass field with its help, range and what is stored of it.

Standard library only, so that a wrong flag is answered before JAX is loaded.
"""

import dataclasses
import math
from typing import Any, Literal, get_args, get_origin

from nst_jax.errors import RequestError

# The arrays are float32.
_LARGEST = 3e38


def setting(
    default: Any,
    help: str,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    file: Literal["no", "read", "written"] = "no",
    words: tuple[str, ...] = (),
    alone: str = "",
    stored: Literal["always", "beside", "never"] = "always",
) -> Any:
    """A field with its help and inclusive range.

    Args:
        default: its value, and so its type.
        help: what it is, for `--help`.
        low: the least number.
        high: the largest number.
        file: whether it names files, and what is done with them.
        words: values of such a field that name no file.
        alone: the value of a flag that stands without one; empty: it needs a value.
        stored: where a run keeps it: inside its picture and in the flagfile beside
            it, only beside (what belongs to this machine), or nowhere.
    """
    about = {
        "help": help,
        "low": low,
        "high": high,
        "file": file,
        "words": words,
        "alone": alone,
        "stored": stored,
    }
    return dataclasses.field(default=default, metadata=about)


def check(config: Any) -> None:
    """Raises unless every field of a settings dataclass has its type and range."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if get_origin(field.type) is tuple:
            kind = get_args(field.type)[0]
            if not isinstance(value, tuple):
                raise RequestError(f"--{field.name} must be a tuple, got {value!r}")
            for item in value:
                _check_value(field, kind, item)
        else:
            _check_value(field, field.type, value)


def _check_value(field: dataclasses.Field[Any], kind: Any, value: Any) -> None:
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            choices = ", ".join(get_args(kind))
            raise RequestError(
                f"--{field.name} must be one of {choices}, got {value!r}"
            )
        return
    fits = isinstance(value, (int, float)) if kind is float else type(value) is kind
    if not fits or (kind is float and isinstance(value, bool)):
        raise RequestError(f"--{field.name} must be {kind.__name__}, got {value!r}")
    low, high = field.metadata["low"], field.metadata["high"]
    if kind in (int, float) and not (low <= value <= high and abs(value) < _LARGEST):
        limits = f"at least {low}" if high == math.inf else f"{low} to {high}"
        if high == math.inf and not abs(value) < _LARGEST:
            limits = f"{limits} and below {_LARGEST:g}"
        raise RequestError(f"--{field.name} must be {limits}, got {value}")
    if kind is str and any(ord(character) < 32 for character in value):
        raise RequestError(
            f"--{field.name} may not hold control characters or line breaks, got "
            f"{value!r}"
        )


def entry(text: str, flag: str = "an entry") -> tuple[str, float]:
    """A name and its weight, from `NAME` (weight 1) or `NAME:WEIGHT`.

    Args:
        text: the entry.
        flag: what messages say it is of, such as `--style_layers`.

    >>> entry("relu4_2:0.5")
    ('relu4_2', 0.5)
    """
    name, weights = entry_each(text, flag)
    if len(weights) != 1:
        raise RequestError(
            f"{flag} is written NAME or NAME:WEIGHT with one weight, got {text!r} "
            f"with {len(weights)}"
        )
    return name, weights[0]


def entry_each(text: str, flag: str = "an entry") -> tuple[str, tuple[float, ...]]:
    """A name and its weights, of which there may be several with slashes between.

    >>> entry_each("relu4_2:0.5/2")
    ('relu4_2', (0.5, 2.0))
    """
    name, colon, numbers = text.partition(":")
    try:
        weights = tuple(map(float, numbers.split("/"))) if colon else (1.0,)
    except ValueError:
        weights = (math.nan,)
    if not (name and all(0 <= weight < _LARGEST for weight in weights)):
        raise RequestError(
            f"{flag} is written NAME or NAME:WEIGHT with a weight of at least 0, got "
            f"{text!r}"
        )
    return name, weights
