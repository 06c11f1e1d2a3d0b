"""MatConvNet's .mat files: VGG as its authors' own group distributes it.

MATLAB 5's format is a row of elements: what kind and how many bytes, then the bytes.
Matrices are elements made of elements; one variable may be packed by zlib. Only what
leads to the convolutions is looked at, so that neither depth, nor sizes that lie, nor
a packed desert of zeros can cost anything.
"""

import contextlib
import functools
import math
import mmap
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nst_jax.errors import RequestError
from nst_jax.pretrained.names import Entry

# Kinds of elements, and classes of matrices.
_MATRIX, _PACKED = 14, 15
_CELL, _STRUCT, _CHAR = 1, 2, 4
_NUMBERS = {
    **{1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4"},
    **{7: "f4", 9: "f8", 12: "i8", 13: "u8"},
}
# MATLAB may keep small whole numbers in fewer bytes than their class has.
_CLASSES = {6: "f8", 7: "f4"}
_HEADER = 128
# Trained numbers hardly pack; a variable that grows more than so is none.
_GROWTH = 8
# Elements in one matrix, and variables in a file: VGG has some fifty layers.
_MOST = 10_000


class _Element(NamedTuple):
    kind: int
    data: memoryview


class _Matrix(NamedTuple):
    of: int  # its class
    shape: tuple[int, ...]
    name: str
    rest: tuple[_Element, ...]


@contextlib.contextmanager
def entries(path: Path) -> Iterator[Mapping[str, Entry]]:
    """The layers' arrays, named conv1_1.0 (kernel) and conv1_1.1 (bias).

    Two layouts circulate, which hold the same fields in another order (beta16's
    start with `weights`, later ones with `name`), so fields are read by name.
    """
    with path.open("rb") as file:
        # Closed by itself when the last array that looks at it is gone.
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    order = {b"IM": "<", b"MI": ">"}[bytes(data[126:_HEADER])]
    layers = _variable(data[_HEADER:], "layers", order)
    if layers is None:
        raise RequestError("expected a variable `layers`, found none; give a VGG file")
    yield dict(_arrays(layers, order))


def _arrays(layers: _Matrix, order: str) -> Iterator[tuple[str, Entry]]:
    for element in layers.rest:
        # Each layer is a 1x1 cell around a 1x1 struct.
        fields = _fields(_matrix(element, order), order)
        name = _text(fields["name"], order)
        if "weights" in fields and name.startswith("conv"):
            parts = _matrix(fields["weights"], order).rest
            for part, array in enumerate(parts):
                yield f"{name}.{part}", _entry(_matrix(array, order), order)


def _elements(data: memoryview, order: str) -> Iterator[_Element]:
    """The elements that stand one after another."""
    for _ in range(_MOST):
        if not len(data):
            return
        kind, size = struct.unpack_from(f"{order}II", data)
        start, step = 8, 8 + size + (-size % 8 if kind != _PACKED else 0)
        if kind >> 16:  # a small one: its size and its bytes share the eight
            kind, size, start, step = kind & 0xFFFF, kind >> 16, 4, 8
        if start + size > min(step, len(data)):
            raise ValueError("an element is cut off")
        yield _Element(kind, data[start : start + size])
        data = data[step:]
    raise ValueError(f"more than {_MOST} elements")


def _variable(data: memoryview, name: str, order: str) -> _Matrix | None:
    """The matrix of that name in the whole file."""
    for element in _elements(data, order):
        if element.kind == _PACKED:
            start = zlib.decompressobj().decompress(element.data, 1 << 12)
            if name.encode() not in start:
                continue
            element = _unpacked(element, order)
        matrix = _matrix(element, order)
        if matrix.name == name:
            return matrix
    return None


def _unpacked(element: _Element, order: str) -> _Element:
    limit = _GROWTH * len(element.data)
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(element.data, limit)
    if not unpacker.eof:
        raise ValueError(f"a variable is cut off, or grows more than {_GROWTH}-fold")
    return next(_elements(memoryview(data), order))


def _matrix(element: _Element, order: str) -> _Matrix:
    if element.kind != _MATRIX:
        raise ValueError("an element is no matrix")
    flags, shape, name, *rest = _elements(element.data, order)
    (of,) = struct.unpack_from(f"{order}I", flags.data)
    sides = np.frombuffer(shape.data, f"{order}i4").tolist()
    return _Matrix(of & 0xFF, tuple(sides), str(name.data, "ascii"), tuple(rest))


def _fields(matrix: _Matrix, order: str) -> dict[str, _Element]:
    """The fields of a struct, or of the struct that is alone in cells."""
    if matrix.of == _CELL:
        (inside,) = matrix.rest
        matrix = _matrix(inside, order)
    if matrix.of != _STRUCT:
        raise ValueError("a layer is no struct")
    length, names, *values = matrix.rest
    (width,) = struct.unpack(f"{order}i", length.data)
    text = bytes(names.data)
    keys = [text[at : at + width] for at in range(0, len(text), width)]
    return {
        key.rstrip(b"\0").decode("ascii"): value
        for key, value in zip(keys, values, strict=True)
    }


def _text(element: _Element, order: str) -> str:
    matrix = _matrix(element, order)
    (letters,) = matrix.rest
    if matrix.of != _CHAR:
        raise ValueError("a name is no text")
    return str(letters.data, "utf-8").replace("\0", "")


def _entry(matrix: _Matrix, order: str) -> Entry:
    # MATLAB has no vectors: a bias is a matrix of one row or column.
    shape = matrix.shape
    shaped = (math.prod(shape),) if len(shape) == 2 else shape
    return Entry(shaped, functools.partial(_array, matrix, shaped, order))


def _array(matrix: _Matrix, shape: tuple[int, ...], order: str) -> np.ndarray:
    (numbers,) = matrix.rest
    stored = np.frombuffer(numbers.data, f"{order}{_NUMBERS[numbers.kind]}")
    return stored.reshape(shape, order="F").astype(_CLASSES[matrix.of])
