"""HDF5 files that lead elsewhere, or are bombs."""

import functools
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from nst_jax.layers import table

_CONVOLUTIONS = [row for row in table("vgg16") if row.kind == "conv"]


def made(fill: Callable[[Any], None]) -> bytes:
    """The bytes of a file that is filled so."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "made.h5")
        with h5py.File(path, "w") as file:
            fill(file)
        return path.read_bytes()


def _vgg(file: Any, bad: Callable[[Any, str, tuple[int, ...]], None]) -> None:
    """All of VGG16 without a byte of numbers, but for the first bias."""
    for row in _CONVOLUTIONS:
        place = f"block{row.name[4]}_conv{row.name[6]}/x_"
        file.create_dataset(f"{place}W:0", (3, 3, row.inputs, row.channels), "f4")
        if row.name == "conv1_1":
            bad(file, f"{place}b:0", (64,))
        else:
            file.create_dataset(f"{place}b:0", (row.channels,), "f4")


def secret(file: Any) -> None:
    """What lies beside, and must not be read."""
    file["numbers"] = np.arange(64, dtype=np.float32)


def _virtual(file: Any, name: str, shape: tuple[int, ...]) -> None:
    layout = h5py.VirtualLayout(shape, "f4")
    layout[...] = h5py.VirtualSource("secret.h5", "numbers", shape)
    file.create_virtual_dataset(name, layout)


def _outside(file: Any, name: str, shape: tuple[int, ...]) -> None:
    where = [("secret.h5", 0, h5py.h5f.UNLIMITED)]
    file.create_dataset(name, shape, "f4", external=where)


def _wide(file: Any, name: str, shape: tuple[int, ...]) -> None:
    kind = h5py.h5t.array_create(h5py.h5t.NATIVE_FLOAT, (2**24,))
    space, folder = h5py.h5s.create_simple(shape), file[name.rpartition("/")[0]]
    h5py.h5d.create(folder.id, name.rpartition("/")[2].encode(), kind, space)


def _large_part(file: Any, name: str, shape: tuple[int, ...]) -> None:
    made = file.create_dataset(
        name, shape, "f4", maxshape=(None,), chunks=(2**27,), compression="gzip"
    )
    made[0] = 1


def _plugin(file: Any, name: str, shape: tuple[int, ...]) -> None:
    how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    how.set_chunk(shape)
    how.set_filter(305, h5py.h5z.FLAG_OPTIONAL, ())
    space, folder = h5py.h5s.create_simple(shape), file[name.rpartition("/")[0]]
    leaf = name.rpartition("/")[2].encode()
    h5py.h5d.create(folder.id, leaf, h5py.h5t.NATIVE_FLOAT, space, how)


def _linked(link: Any) -> Callable[[Any, str, tuple[int, ...]], None]:
    return lambda file, name, shape: file.__setitem__(name, link)


def _deep(file: Any) -> None:
    group = file
    for _ in range(3000):
        group = group.create_group("a")


def _circle(file: Any) -> None:
    for name in "abcdefgh":
        file.create_group(name)
    for one in "abcdefgh":
        for other in "abcdefgh":
            file[one][other] = file[other]


FILES: Mapping[str, Callable[[], bytes]] = {
    name: functools.partial(made, functools.partial(_vgg, bad=bad))
    for name, bad in {
        "h5 with a virtual dataset": _virtual,
        "h5 with numbers outside": _outside,
        "h5 with an external link": _linked(h5py.ExternalLink("secret.h5", "/numbers")),
        "h5 with a soft link": _linked(h5py.SoftLink("/nowhere")),
        "h5 of 64 MB to a number": _wide,
        "h5 in parts of 512 MB": _large_part,
        "h5 that wants a plugin": _plugin,
    }.items()
} | {
    "h5 of 3000 groups in each other": functools.partial(made, _deep),
    "h5 in circles": functools.partial(made, _circle),
    "h5 whose weights are a link": functools.partial(
        made,
        lambda file: file.__setitem__(
            "model_weights", h5py.ExternalLink("secret.h5", "/")
        ),
    ),
}
