"""MatConvNet's .mat files: VGG as its authors' own group distributes it."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from nst_jax.errors import RequestError
from nst_jax.pretrained.names import Entry


@contextlib.contextmanager
def entries(path: Path) -> Iterator[Mapping[str, Entry]]:
    """The layers' arrays, named conv1_1.0 (kernel) and conv1_1.1 (bias).

    Two layouts circulate, which hold the same fields in another order (beta16's
    start with `weights`, later ones with `name`), so fields are read by name.
    """
    from scipy.io import loadmat

    layers = loadmat(path, variable_names=["layers"]).get("layers")
    if layers is None:
        raise RequestError("expected a variable `layers`, found none; give a VGG file")
    found: dict[str, Entry] = {}
    for cell in layers.ravel():
        # Each layer is a 1x1 cell around a 1x1 struct.
        layer = np.asarray(cell).ravel()[0]
        name = str(np.asarray(layer["name"]).ravel()[0])
        if "weights" in layer.dtype.names and name.startswith("conv"):
            for part, array in enumerate(layer["weights"].ravel()):
                found[f"{name}.{part}"] = _entry(array)
    yield found


def _entry(array: np.ndarray) -> Entry:
    # MATLAB has no vectors: a bias is a matrix of one row or column.
    shaped = array.ravel() if array.ndim == 2 else array
    return Entry(shaped.shape, lambda: shaped)
