"""The files from which a run goes on: written whole, checked when they are read.

A folder holds the last two of one run. Each is a .safetensors file of the state's
arrays, whose metadata say what run it is, and carry a digest of everything. Knows no
JAX, as a folder is looked into before it is loaded.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nst_jax import disk

FORMAT = "nst_jax checkpoint 1"
_KEPT = 2
_DIGITS = 64  # of a sha256
_NAME = re.compile(r"step-([0-9]{6,18})\.safetensors")


class Checkpoint(NamedTuple):
    """A run as it stood: what is said of it, and its arrays by name.

    Without arrays no step was done yet.
    """

    about: dict[str, Any]
    arrays: Mapping[str, np.ndarray]


class Found(NamedTuple):
    """What a folder holds: the last checkpoint that is whole, and what was not."""

    checkpoint: Checkpoint | None
    troubles: list[str]


def write(folder: Path, step: int, checkpoint: Checkpoint) -> None:
    """Adds a checkpoint, and deletes those before the last one.

    Raises:
        OSError: it could not be written; those that were there stay.
    """
    from safetensors.numpy import save

    folder.mkdir(exist_ok=True)
    about = json.dumps(checkpoint.about)
    arrays = {
        name: np.ascontiguousarray(array).reshape(array.shape)
        for name, array in checkpoint.arrays.items()
    }
    metadata = {"format": FORMAT, "about": about, "digest": _digest(about, arrays)}
    path = folder / f"step-{step:06d}.safetensors"
    disk.write(path, save(arrays, metadata))
    # Later ones are of a way that the run has left.
    others = [other for other in files(folder) if other != path]
    before = [other for other in others if _step(other) < step]
    for other in {*others} - {*before[: _KEPT - 1]}:
        other.unlink(missing_ok=True)


def files(folder: Path) -> list[Path]:
    """The checkpoints in a folder, the last first."""
    try:
        found = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
    except OSError:
        return []
    return sorted(found, key=_step, reverse=True)


def find(folder: Path) -> Found:
    """The last checkpoint that can be read."""
    troubles: list[str] = []
    for path in files(folder):
        try:
            return Found(read(path), troubles)
        except (OSError, ValueError, MemoryError, RecursionError) as error:
            why = " ".join(disk.reason(error).split())[:200] or type(error).__name__
            troubles.append(f"the checkpoint {str(path)!r} cannot be used ({why})")
    return Found(None, troubles)


def read(path: Path) -> Checkpoint:
    """The checkpoint in a file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is damaged, was changed, or is none.
    """
    from safetensors import SafetensorError, safe_open

    # Who opens a pipe waits for whoever would write into it.
    if path.exists() and not path.is_file():
        raise ValueError("it is not a regular file")
    try:
        with safe_open(path, framework="numpy") as file:
            said = file.metadata() or {}
            if said.get("format") != FORMAT:
                raise ValueError(f"it is no {FORMAT}")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"damaged: {error}") from None
    if said.get("digest") != _digest(said.get("about", ""), arrays):
        raise ValueError("it was changed: its contents do not have its digest")
    about = json.loads(said.get("about", ""))
    _check_about(about)
    return Checkpoint(about, arrays)


def clear(folder: Path) -> None:
    """Deletes the checkpoints in a folder."""
    for path in files(folder):
        path.unlink(missing_ok=True)


def differences(
    before: Mapping[str, str], now: Mapping[str, str], free: frozenset[str]
) -> Iterator[str]:
    """What differs between two sets of settings, but for those that may."""
    for name in sorted((before.keys() | now.keys()) - free):
        old, new = before.get(name), now.get(name)
        if old != new:
            was, now_is = (_said(name, value) for value in (old, new))
            yield f"{was} then, {now_is} now"


def _said(name: str, value: str | None) -> str:
    if value is None:
        return f"no {name}"
    text = f"{name}={value[:12] if len(value) == _DIGITS else value}"
    return text if text.isprintable() else repr(text)


def _check_about(about: Any) -> None:
    """Raises ValueError unless it says what a checkpoint says."""
    fields = about if isinstance(about, dict) else {}
    for name, fits in _ABOUT.items():
        if not fits(fields.get(name)):
            raise ValueError(f"it does not say what this version needs: {name}")


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**31


def _are_texts(value: Any) -> bool:
    pairs = value.items() if isinstance(value, dict) else [(None, None)]
    return all(isinstance(name, str) and isinstance(text, str) for name, text in pairs)


def _is_shape(value: Any) -> bool:
    return _are_counts(value) and len(value) == 2 and min(value) > 0


def _are_counts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_count, value))


def _is_scale(value: Any) -> bool:
    fields = value if isinstance(value, dict) else {}
    return (
        _is_shape(fields.get("shape"))
        and _is_count(fields.get("steps"))
        and isinstance(fields.get("ended"), str)
    )


# What a checkpoint says, and whether it can be.
_ABOUT: dict[str, Callable[[Any], bool]] = {
    "settings": _are_texts,
    "inputs": _are_texts,
    "made_with": _are_texts,
    "final": _is_shape,
    "files": lambda value: (
        isinstance(value, list) and all(isinstance(each, str) for each in value)
    ),
    "resumed": _are_counts,
    "step": _is_count,
    "place": lambda value: _are_counts(value) and len(value) == 4,
    "settled": lambda value: isinstance(value, bool),
    "shape": _is_shape,
    "seconds": lambda value: type(value) in (int, float) and 0 <= value < math.inf,
    "recoveries": lambda value: (
        isinstance(value, list) and all(isinstance(each, dict) for each in value)
    ),
    "scales": lambda value: isinstance(value, list) and all(map(_is_scale, value)),
}


def _step(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    return int(match[1]) if match else -1


def _digest(about: str, arrays: Mapping[str, np.ndarray]) -> str:
    total = hashlib.sha256(about.encode())
    for name, array in sorted(arrays.items()):
        total.update(f"{name}{array.dtype.str}{array.shape}".encode())
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()
