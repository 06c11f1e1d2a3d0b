"""Torch's .pth files, read without torch and without running anything in them.

A .pth file is a pickle that names tensors. They become entries: their bytes are read
afterwards, and only the convolutions'.
"""

import contextlib
import io
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from nst_jax.errors import RequestError
from nst_jax.pretrained import pickles, zipped
from nst_jax.pretrained.names import Entry

# A dictionary of tensors takes a few kilobytes; more is no weights file.
_MAX_PICKLE = 4 << 20
_STORAGES = {
    "torch FloatStorage": "<f4",
    "torch HalfStorage": "<f2",
    "torch DoubleStorage": "<f8",
    "torch LongStorage": "<i8",
    "torch IntStorage": "<i4",
}


class _Storage(NamedTuple):
    key: str
    dtype: str
    length: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: object) -> _Tensor:
    """A tensor whose numbers are numbers: nothing is known of what a file says."""
    numbers = (offset, *shape, *strides)
    if not (
        isinstance(storage, _Storage)
        and len(shape) == len(strides)
        and all(type(number) is int and 0 <= number < 2**62 for number in numbers)
    ):
        raise RequestError("expected tensors, found other things; the file is damaged")
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _ordered(pairs: Any = ()) -> dict[Any, Any]:
    return pickles.paired(pairs)


# What a pickle may name.
_ALLOWED = {
    "collections OrderedDict": _ordered,
    "torch._utils _rebuild_tensor": _tensor,
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch._utils _rebuild_parameter": lambda parameter, *_: parameter,
    **_STORAGES,
}


def _unpickle(stream: io.BytesIO) -> tuple[Any, dict[str, _Storage]]:
    """One pickle of the stream and the storages it names."""
    storages: dict[str, _Storage] = {}

    def persistent(pid: Any) -> _Storage:
        match pid:
            case ("storage", str(dtype), str(key), _, int(length), *_) if (
                dtype in _STORAGES.values() and 0 <= length < 2**62
            ):
                storage = _Storage(key, dtype, length)
            case _:
                raise RequestError("expected tensors, found another kind of reference")
        storages[storage.key] = storage
        return storage

    return pickles.load(stream, _ALLOWED, persistent), storages


@contextlib.contextmanager
def zip_entries(path: Path) -> Iterator[Mapping[str, Entry]]:
    """The tensors of a file as torch 1.6 and later write it."""
    with zipfile.ZipFile(path) as archive:
        names = [n for n in archive.namelist() if n.endswith("/data.pkl")]
        if len(names) != 1:
            raise RequestError(
                f"expected one data.pkl in the archive, found {len(names)}; give a "
                ".pth or .npz file"
            )
        folder = names[0].removesuffix("data.pkl")
        with zipped.opened(archive, names[0]) as member:
            program = member.read(_MAX_PICKLE + 1)
        if len(program) > _MAX_PICKLE:
            raise RequestError("expected a dictionary of tensors, found a large pickle")
        tree, _ = _unpickle(io.BytesIO(program))

        def read(storage: _Storage) -> bytes:
            name = f"{folder}data/{storage.key}"
            info = archive.getinfo(name)
            _check_length(storage, info.file_size, info.compress_size)
            with zipped.opened(archive, name) as member:
                return member.read()

        yield _entries(tree, read)


@contextlib.contextmanager
def legacy_entries(path: Path) -> Iterator[Mapping[str, Entry]]:
    """The tensors of a file as torch before 1.6 wrote it.

    Five pickles (a magic number, a version, the machine's sizes, the tensors, the
    storages' keys), then each storage: its length as 8 bytes, and its numbers.
    """
    with path.open("rb") as file:
        head = io.BytesIO(file.read(_MAX_PICKLE))
        _, _, _, (tree, storages), (keys, _) = (_unpickle(head) for _ in range(5))
        places: dict[str, int] = {}
        position = head.tell()
        for key in keys:
            if not isinstance(key, str):
                raise RequestError("expected the keys of storages; the file is damaged")
            places[key] = position + 8
            storage = storages[key]
            position += 8 + storage.length * np.dtype(storage.dtype).itemsize

        def read(storage: _Storage) -> bytes:
            return _legacy_storage(file, storage, places[storage.key])

        yield _entries(tree, read)


def _legacy_storage(file: BinaryIO, storage: _Storage, place: int) -> bytes:
    end = file.seek(0, io.SEEK_END)
    file.seek(place - 8)
    size = int.from_bytes(file.read(8), "little") * np.dtype(storage.dtype).itemsize
    _check_length(storage, size, end - place)
    return file.read(size)


def _check_length(storage: _Storage, found: int, there: int) -> None:
    """Refuses a storage whose length is said twice, differently, or is not there."""
    expected = storage.length * np.dtype(storage.dtype).itemsize
    if not 0 <= expected == found <= there:
        raise RequestError(
            f"expected {expected} bytes in storage {storage.key[:40]!r}, found "
            f"{min(found, there)}; the file is damaged"
        )


def _entries(tree: Any, read: Callable[[_Storage], bytes]) -> dict[str, Entry]:
    def entry(tensor: _Tensor) -> Entry:
        return Entry(tensor.shape, lambda: _array(tensor, read(tensor.storage)))

    return {name: entry(tensor) for name, tensor in _tensors(tree).items()}


def _tensors(tree: Any) -> dict[str, _Tensor]:
    if isinstance(tree, dict) and isinstance(tree.get("state_dict"), dict):
        tree = tree["state_dict"]
    if not isinstance(tree, dict):
        raise RequestError(
            f"expected a dictionary of tensors, found a {type(tree).__name__}; save "
            "the network's state_dict()"
        )
    return {
        name: tensor
        for name, tensor in tree.items()
        if isinstance(name, str) and isinstance(tensor, _Tensor)
    }


def _array(tensor: _Tensor, data: bytes) -> np.ndarray:
    flat = np.frombuffer(data, tensor.storage.dtype)
    steps = zip(tensor.shape, tensor.strides, strict=True)
    last = tensor.offset + sum((size - 1) * stride for size, stride in steps)
    if last >= flat.size:
        raise RequestError("expected a tensor inside its storage; the file is damaged")
    strides = tuple(stride * flat.itemsize for stride in tensor.strides)
    return np.ndarray(
        tensor.shape, flat.dtype, flat.data, tensor.offset * flat.itemsize, strides
    )
