"""Pickles of nested dictionaries of NumPy arrays, as Flax programs save them.

Read as `pickles` reads, so nothing in them runs: the names of NumPy's functions stand
for small holders, whose fields are looked at before an array is made of them.
"""

import contextlib
import functools
import math
import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nst_jax.errors import RequestError
from nst_jax.pretrained import pickles
from nst_jax.pretrained.names import Entry
from nst_jax.pretrained.pickles import Held

# Protocol 3, and an empty dictionary comes first.
START = b"\x80\x03}"
_FLOATS = ("f2", "f4", "f8")
_DEEPEST = 20  # dictionaries in dictionaries


def _array_held(*arguments: Any) -> Held:
    return Held("array", *arguments)


def _dtype_held(*arguments: Any) -> Held:
    return Held("dtype", *arguments)


# What a pickle may name.
_ALLOWED = {
    # NumPy 2 moved it.
    "numpy.core.multiarray _reconstruct": _array_held,
    "numpy._core.multiarray _reconstruct": _array_held,
    "numpy ndarray": "ndarray",
    "numpy dtype": _dtype_held,
}


@contextlib.contextmanager
def entries(path: Path) -> Iterator[Mapping[str, Entry]]:
    """The arrays of a file, named by the path to them: VGG16_0/Conv_0/kernel."""
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as stream,
    ):
        tree = pickles.load(stream, _ALLOWED)
    yield dict(_arrays(tree, (), set()))


def _arrays(
    tree: Any, path: tuple[str, ...], seen: set[int]
) -> Iterator[tuple[str, Entry]]:
    if isinstance(tree, dict):
        # One that is met again may hold itself, and there would be no end.
        if id(tree) in seen:
            raise _damaged("a dictionary that is in several places")
        if len(path) > _DEEPEST:
            raise _damaged(f"more than {_DEEPEST} dictionaries in each other")
        seen.add(id(tree))
        for name, branch in tree.items():
            yield from _arrays(branch, (*path, str(name)[:80]), seen)
    elif isinstance(tree, Held):
        yield "/".join(path), _entry(tree)


def _entry(held: Held) -> Entry:
    """One array, its fields checked before any memory is taken."""
    match held:
        case Held(
            arguments=("array", *_),
            state=(_, tuple(shape), Held() as dtype, bool(fortran), bytes(data)),
        ):
            text = _dtype(dtype)
        case _:
            raise _damaged("an array in another form")
    if len(shape) > 4 or not all(type(side) is int and side >= 0 for side in shape):
        raise _damaged("a shape that is none")
    if math.prod(shape) * np.dtype(text).itemsize != len(data):
        raise _damaged(f"{len(data)} bytes for the shape {str(shape)[:80]}")
    order = "F" if fortran else "C"
    return Entry(shape, functools.partial(_array, shape, text, order, data))


def _array(shape: tuple[int, ...], text: str, order: Any, data: bytes) -> np.ndarray:
    return np.frombuffer(data, text).reshape(shape, order=order)


def _dtype(held: Held) -> str:
    """NumPy's word for the numbers, with their byte order."""
    match held:
        case Held(
            arguments=("dtype", str(kind), *_), state=(_, "<" | ">" as order, *_)
        ) if kind in _FLOATS:
            return f"{order}{kind}"
    raise _damaged("numbers of another kind")


def _damaged(found: str) -> RequestError:
    return RequestError(
        f"expected floating point arrays, found {found}; the file is damaged"
    )
