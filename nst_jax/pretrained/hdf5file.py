"""HDF5 files as Keras writes them, of which nothing leads to another file.

HDF5 can do much: links to other files, numbers that lie in them, types of any size,
filters loaded as plugins, groups within themselves. None of it is followed.
"""

import contextlib
import functools
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nst_jax.errors import RequestError
from nst_jax.pretrained.names import Entry

# Where a format packs numbers in parts, the largest layer has 9 MiB in float32.
_LARGEST_PART = 64 << 20
# HDF5's filters that need nothing but the library: deflate, shuffle, a checksum, and
# h5py's own lzf. For others it would look for plugins on the machine.
_FILTERS = {1, 2, 3, 32000}
_DEEPEST = 16  # groups in each other; Keras needs six


@contextlib.contextmanager
def entries(path: Path) -> Iterator[Mapping[str, Entry]]:
    """The arrays of weights alone (old layout or Keras 3's), or of a saved model."""
    import h5py

    with h5py.File(path, "r", locking=False) as file:
        # A saved model also holds the optimiser's state under the same names.
        inside = file.get("model_weights", getclass=True, getlink=True)
        root = file["model_weights"] if inside is h5py.HardLink else file
        yield {
            name: Entry(each.shape or (), functools.partial(_array, each))
            for name, each in _datasets(root, (), set())
        }


def _datasets(
    group: Any, path: tuple[str, ...], seen: set[int]
) -> Iterator[tuple[str, Any]]:
    """Every dataset with its name, each once."""
    import h5py

    if len(path) > _DEEPEST:
        raise RequestError(f"expected at most {_DEEPEST} groups in each other")
    for name in group:
        # Not a soft link, nor one to another file.
        if group.get(name, getclass=True, getlink=True) is not h5py.HardLink:
            continue
        item = group[name]
        place = h5py.h5o.get_info(item.id).addr
        if place in seen:
            continue
        seen.add(place)
        if isinstance(item, h5py.Group):
            yield from _datasets(item, (*path, name), seen)
        elif isinstance(item, h5py.Dataset):
            yield "/".join((*path, name)), item


def _array(dataset: Any) -> np.ndarray:
    if dataset.external or dataset.is_virtual:
        raise RequestError(
            f"expected the numbers of {dataset.name!r} in the file itself, found them "
            "in another file; give a file that is complete"
        )
    how = dataset.id.get_create_plist()
    filters = {how.get_filter(index)[0] for index in range(how.get_nfilters())}
    part = math.prod(dataset.chunks or ()) * dataset.dtype.itemsize
    if dataset.dtype.kind != "f" or dataset.dtype.itemsize > 8:
        found = f"{dataset.name[:80]!r} of {str(dataset.dtype)[:40]}"
    elif not filters <= _FILTERS:
        found = f"{dataset.name[:80]!r} packed by filter {max(filters - _FILTERS)}"
    elif part > _LARGEST_PART:
        found = f"{dataset.name[:80]!r} in parts of {part} bytes"
    else:
        array: np.ndarray = dataset[()]
        return array
    raise RequestError(
        f"expected floating point numbers, plain or packed by gzip, found {found}; "
        "save the network's weights as they are"
    )
