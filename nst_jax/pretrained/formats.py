"""Weights files of every origin, read without running anything in them.

What a file is, is decided by its first bytes, not by its name.
"""

import contextlib
import functools
import io
import math
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from nst_jax.errors import RequestError
from nst_jax.layers import Network
from nst_jax.pretrained import zipped
from nst_jax.pretrained.canonical import Layers, brief
from nst_jax.pretrained.names import Entry, pick

# The largest file in circulation, VGG19 with its fully connected layers, has
# 575 MB; twice that in float64.
MAX_BYTES = 2 << 30
# An array's header takes some hundred bytes, but can say that it has gigabytes.
_NPY_HEADER = 1 << 16
Reader = Callable[[Path], contextlib.AbstractContextManager[Mapping[str, Entry]]]


def read(path: Path) -> tuple[Network, Layers]:
    """The network in a file and its convolutions, input channels in the file's order.

    Raises:
        RequestError: the file cannot be read, or holds no VGG19 or VGG16.
    """
    reader = _reader(path)
    try:
        # Parsers warn of how a broken file is spelt; the one line says enough.
        with warnings.catch_warnings(action="ignore"), reader(path) as entries:
            return pick(entries)
    except RequestError as error:
        raise RequestError(f"weights file {str(path)!r}: {error}") from error
    # On damaged files the libraries below raise nearly anything.
    except Exception as error:
        raise RequestError(
            f"expected a complete weights file at {str(path)!r}, found a damaged one "
            f"({brief(error)}); fetch it again"
        ) from error


def first_bytes(path: Path, count: int) -> bytes:
    """The start of a file that exists, is a file, and is of a likely size."""
    try:
        if not path.is_file():
            found = "a folder" if path.is_dir() else "nothing"
            raise RequestError(
                f"expected a weights file at {str(path)!r}, found {found}; give the "
                "path of a file or the name of a known network"
            )
        if not 0 < path.stat().st_size <= MAX_BYTES:
            raise RequestError(
                f"expected a weights file of 1 byte to 2 GiB at {str(path)!r}, found "
                f"{path.stat().st_size} bytes; fetch it again"
            )
        with path.open("rb") as file:
            return file.read(count)
    except (OSError, ValueError) as error:
        if isinstance(error, RequestError):
            raise
        raise RequestError(
            f"cannot read the weights file {str(path)!r}: {brief(error)}; check its "
            "name and permissions"
        ) from error


def _reader(path: Path) -> Reader:
    from nst_jax.pretrained import hdf5file, matlab, numpyfile, torchfile

    start = first_bytes(path, 128)
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return hdf5file.entries
    if start.startswith(b"MATLAB 5.0"):
        return matlab.entries
    if start.startswith(b"PK\x03\x04"):
        return _npz if _is_npz(path) else torchfile.zip_entries
    if start.startswith(numpyfile.START):
        return numpyfile.entries
    if start.startswith(b"\x80\x02"):
        return torchfile.legacy_entries
    if start[8:9] == b"{":
        return _safetensors
    raise RequestError(
        f"expected a .mat (MATLAB 5), .h5, .pth, .npz or .safetensors file at "
        f"{str(path)!r}, found something else; give one of these"
    )


@contextlib.contextmanager
def _npz(path: Path) -> Iterator[Mapping[str, Entry]]:
    """NumPy archives, such as Frossard's VGG16."""
    with zipfile.ZipFile(path) as archive:
        yield {
            info.filename.removesuffix(".npy"): _npy(archive, info.filename)
            for info in archive.infolist()
            if info.filename.endswith(".npy")
        }


def _npy(archive: zipfile.ZipFile, name: str) -> Entry:
    with zipped.opened(archive, name) as member:
        head = io.BytesIO(member.read(_NPY_HEADER))
    if np.lib.format.read_magic(head) == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(head)
    else:
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(head)

    def load() -> np.ndarray:
        # Checked before it is read: one such number could be of any size.
        if dtype.kind != "f" or dtype.itemsize > 8:
            raise RequestError(
                f"expected floating point numbers in {name[:80]!r}, found "
                f"{str(dtype)[:40]}; a file may not bring objects with it"
            )
        with zipped.opened(archive, name) as member:
            member.read(head.tell())
            data = member.read(math.prod(shape) * dtype.itemsize)
        return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")

    return Entry(shape, load)


def _is_npz(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(".npy") for name in archive.namelist())
    # Not BadZipFile alone: zipfile also raises NotImplementedError and others.
    except Exception as error:
        raise RequestError(
            f"expected a complete weights file at {str(path)!r}, found a damaged zip "
            f"archive ({brief(error)}); fetch it again"
        ) from error


@contextlib.contextmanager
def _safetensors(path: Path) -> Iterator[Mapping[str, Entry]]:
    """Any safetensors file with the usual names; canonical ones are read elsewhere."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        yield {
            name: Entry(
                tuple(file.get_slice(name).get_shape()),
                functools.partial(file.get_tensor, name),
            )
            for name in file.keys()  # noqa: SIM118 - it is no mapping
        }
