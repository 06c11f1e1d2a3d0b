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

# Protocol 3, and an empty dictionary comes first.
START = b"\x80\x03}"
_FLOATS = ("f2", "f4", "f8")


class _Held:
    """What NumPy would build: its arguments, and the state that is set afterwards."""

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _allowed() -> dict[str, Any]:
    """What a pickle may name."""

    def array(*arguments: Any) -> _Held:
        return _Held(("array", *arguments))

    def dtype(*arguments: Any) -> _Held:
        return _Held(("dtype", *arguments))

    return {
        # NumPy 2 moved it.
        "numpy.core.multiarray _reconstruct": array,
        "numpy._core.multiarray _reconstruct": array,
        "numpy ndarray": "ndarray",
        "numpy dtype": dtype,
    }


@contextlib.contextmanager
def entries(path: Path) -> Iterator[Mapping[str, Entry]]:
    """The arrays of a file, named by the path to them: VGG16_0/Conv_0/kernel."""
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as stream,
    ):
        tree = pickles.load(stream, _allowed())
    yield dict(_arrays(tree, (), set()))


def _arrays(
    tree: Any, path: tuple[str, ...], seen: set[int]
) -> Iterator[tuple[str, Entry]]:
    if isinstance(tree, dict):
        # One that is met again may hold itself, and there would be no end.
        if id(tree) in seen:
            raise _damaged("a dictionary that is in several places")
        seen.add(id(tree))
        for name, branch in tree.items():
            yield from _arrays(branch, (*path, str(name)[:80]), seen)
    elif isinstance(tree, _Held):
        yield "/".join(path), _entry(tree)


def _entry(held: _Held) -> Entry:
    """One array, its fields checked before any memory is taken."""
    match held:
        case _Held(
            arguments=("array", *_),
            state=(_, tuple(shape), _Held() as dtype, bool(fortran), bytes(data)),
        ):
            text = _dtype(dtype)
        case _:
            raise _damaged("an array in another form")
    if not all(type(side) is int and side >= 0 for side in shape):
        raise _damaged("a shape that is none")
    if math.prod(shape) * np.dtype(text).itemsize != len(data):
        raise _damaged(f"{len(data)} bytes for the shape {str(shape)[:80]}")
    order = "F" if fortran else "C"
    return Entry(shape, functools.partial(_array, shape, text, order, data))


def _array(shape: tuple[int, ...], text: str, order: Any, data: bytes) -> np.ndarray:
    return np.frombuffer(data, text).reshape(shape, order=order)


def _dtype(held: _Held) -> str:
    """NumPy's word for the numbers, with their byte order."""
    match held:
        case _Held(
            arguments=("dtype", str(kind), *_), state=(_, "<" | ">" as order, *_)
        ) if kind in _FLOATS:
            return f"{order}{kind}"
    raise _damaged("numbers of another kind")


def _damaged(found: str) -> RequestError:
    return RequestError(
        f"expected floating point arrays, found {found}; the file is damaged"
    )
