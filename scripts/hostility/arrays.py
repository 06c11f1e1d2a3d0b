"""Bytes of weights files, made by hand where their own libraries would refuse."""

import collections
import io
import pickle
import struct
import sys
import types
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.io


def few() -> dict[str, np.ndarray]:
    """The arrays of two layers, the second with one that is no convolution's."""
    draw = np.random.default_rng(5)
    return {
        "conv1_1_W": draw.random((3, 3, 3, 64), np.float32),
        "conv1_1_b": draw.random(64, np.float32),
        "conv1_2_W": draw.random((3, 3, 64, 2), np.float32),
        "fc_W": draw.random((4, 4)),
    }


def zipped(members: Mapping[str, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of these."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", kind) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


# Torch's files, without torch.


class _Storage:
    def __init__(self, array: np.ndarray) -> None:
        self.array = array


def _rebuild_tensor_v2() -> None:
    """Only its name is written."""


class _FloatStorage:
    """Only its name is written."""


class _Tensor:
    def __init__(self, array: np.ndarray) -> None:
        self.array = np.ascontiguousarray(array, np.float32)

    def __reduce__(self) -> Any:
        strides = tuple(step // 4 for step in self.array.strides)
        state = (_Storage(self.array), 0, self.array.shape, strides, False)
        return _rebuild_tensor_v2, (*state, collections.OrderedDict())


class _Pickler(pickle.Pickler):
    """Writes tensors as torch does, and keeps their numbers."""

    def __init__(self, stream: io.BytesIO, old: bool) -> None:
        super().__init__(stream, 2)
        self.kept: list[np.ndarray] = []
        self.old = old

    def persistent_id(self, item: Any) -> Any:
        if not isinstance(item, _Storage):
            return None
        self.kept.append(item.array)
        key = str(len(self.kept) - 1)
        said = ("storage", _FloatStorage, key, "cpu", item.array.size)
        return (*said, None) if self.old else said


def _pickled(tree: Any, stream: io.BytesIO, *, old: bool) -> list[np.ndarray]:
    """Pickles as if torch were there; the numbers that go beside the pickle."""
    modules = {"torch": _FloatStorage, "torch._utils": _rebuild_tensor_v2}
    for module, item in modules.items():
        name = (
            item.__name__.removeprefix("_") if item is _FloatStorage else item.__name__
        )
        item.__module__, item.__qualname__, item.__name__ = module, name, name
        setattr(sys.modules.setdefault(module, types.ModuleType(module)), name, item)
    try:
        pickler = _Pickler(stream, old)
        pickler.dump(tree)
    finally:
        for module in modules:
            del sys.modules[module]
    return pickler.kept


def torch_zip(arrays: Mapping[str, np.ndarray]) -> bytes:
    """As torch 1.6 and later write it."""
    stream = io.BytesIO()
    kept = _pickled({k: _Tensor(v) for k, v in arrays.items()}, stream, old=False)
    members = {f"x/data/{key}": array.tobytes() for key, array in enumerate(kept)}
    return zipped({"x/data.pkl": stream.getvalue(), **members})


def torch_legacy(arrays: Mapping[str, np.ndarray]) -> bytes:
    """As torch before 1.6 wrote it."""
    stream = io.BytesIO()
    for head in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
        pickle.dump(head, stream, 2)
    kept = _pickled({k: _Tensor(v) for k, v in arrays.items()}, stream, old=True)
    pickle.dump([str(key) for key in range(len(kept))], stream, 2)
    for array in kept:
        stream.write(array.size.to_bytes(8, "little") + array.tobytes())
    return stream.getvalue()


# MATLAB's files.


def matlab(arrays: Mapping[str, np.ndarray], *, packed: bool = False) -> bytes:
    """A VGG of these layers, as MatConvNet lays it out."""
    cells = np.empty((1, len(arrays)), object)
    for index, (name, array) in enumerate(arrays.items()):
        pair = np.empty((1, 1), object)
        pair[0, 0] = array
        layer = np.zeros((1, 1), [(field, object) for field in ("weights", "name")])
        layer["weights"][0, 0], layer["name"][0, 0] = pair, name
        cells[0, index] = layer
    stream = io.BytesIO()
    scipy.io.savemat(stream, {"layers": cells}, do_compression=packed)
    return stream.getvalue()


def matlab_header() -> bytes:
    """The first 128 bytes."""
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"


def _element(kind: int, data: bytes) -> bytes:
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def _cell_start(name: bytes, *sides: int) -> bytes:
    flags = _element(6, struct.pack("<II", 1, 0))
    shape = _element(5, struct.pack(f"<{len(sides)}i", *sides))
    return flags + shape + _element(1, name)


def cell_of(*sides: int) -> bytes:
    """A file whose `layers` say that they have so many cells, and have none."""
    return matlab_header() + _element(14, _cell_start(b"layers", *sides))


def nested(depth: int) -> bytes:
    """Cells in cells, so deep that a reader that calls itself dies."""
    parts, size = [], 0
    for index in range(depth):
        inside = _cell_start(b"layers" if index == depth - 1 else b"", 1, 1)
        parts.append(struct.pack("<II", 14, len(inside) + size) + inside)
        size += len(parts[-1])
    return matlab_header() + b"".join(reversed(parts))


def packed_desert(megabytes: int) -> bytes:
    """A variable `layers` of that many megabytes of zeros, packed by zlib."""
    packer = zlib.compressobj(9)
    inside = _cell_start(b"layers", 1, 1)
    size = len(inside) + (megabytes << 20)
    parts = [packer.compress(struct.pack("<II", 14, size) + inside)]
    parts += [packer.compress(bytes(1 << 20)) for _ in range(megabytes)]
    data = b"".join(parts) + packer.flush()
    return matlab_header() + struct.pack("<II", 15, len(data)) + data
