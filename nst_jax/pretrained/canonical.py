"""The canonical weights file: one form for every network, whatever it came from.

A .safetensors file of `conv1_1/kernel` (height, width, input, output; input in
RGB order) and `conv1_1/bias`, whose metadata say what network it is, where it
came from, its licence, its preprocessing, and the digest of all that decides a
result: the tensors and the preprocessing.
"""

import hashlib
import json
import math
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from nst_jax import disk
from nst_jax.errors import RequestError
from nst_jax.layers import Layer, Network, table
from nst_jax.pretrained.known import KNOWN, InputRange

FORMAT = "nst_jax weights 1"
# {"conv1_1": (kernel, bias)}; float32, or float16 where a file stores that.
Layers = dict[str, tuple[np.ndarray, np.ndarray]]


class Canonical(NamedTuple):
    """A network's numbers in canonical form, and where they came from."""

    network: Network
    name: str  # the known network's name, or "unknown"
    layers: Layers
    input_range: InputRange
    licence: str
    source: str  # a file's name or a URL, for people
    source_sha256: str

    @property
    def digest(self) -> str:
        """The sha256 of everything that decides what the network computes."""
        total = hashlib.sha256(json.dumps([self.network, *self.input_range]).encode())
        for row in convolutions(self.network):
            for array in self.layers[row.name]:
                total.update(f"{row.name}{array.dtype.str}{array.shape}".encode())
                total.update(np.ascontiguousarray(array).data)
        return total.hexdigest()


def convolutions(network: Network) -> tuple[Layer, ...]:
    """The rows of the network's table that have numbers."""
    return tuple(row for row in table(network) if row.kind == "conv")


def write(path: Path, canonical: Canonical) -> None:
    """Stores the file whole or not at all, also when several processes write it."""
    from safetensors.numpy import save

    tensors = {}
    for row in convolutions(canonical.network):
        kernel, bias = canonical.layers[row.name]
        tensors[f"{row.name}/kernel"] = np.ascontiguousarray(kernel)
        tensors[f"{row.name}/bias"] = np.ascontiguousarray(bias)
    try:
        disk.write(path, save(tensors, _metadata(canonical)))
    except OSError as error:
        raise RequestError(
            f"cannot write the weights file {str(path)!r}: {brief(error)}; choose "
            "another place or make room"
        ) from error


def _metadata(canonical: Canonical) -> dict[str, str]:
    return {
        "format": FORMAT,
        "network": canonical.network,
        "name": canonical.name,
        "preprocessing": json.dumps(canonical.input_range._asdict()),
        "licence": canonical.licence,
        "source": canonical.source,
        "source_sha256": canonical.source_sha256,
        "digest": canonical.digest,
    }


def brief(error: Exception) -> str:
    """An error of a library in one short line, without what would steer a terminal."""
    text = " ".join(str(error).split())[:200] or type(error).__name__
    return text if text.isprintable() else repr(text)


def metadata(path: Path) -> dict[str, str]:
    """What the file says of itself; empty if it is no canonical file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            found: dict[str, str] = file.metadata() or {}
    except (SafetensorError, OSError):
        return {}
    return found if found.get("format") == FORMAT else {}


def read(path: Path) -> Canonical:
    """The file's network, its numbers checked against its digest.

    Raises:
        RequestError: the file is damaged, tampered with, or not canonical.
    """
    said = metadata(path)
    if not said:
        raise RequestError(f"expected a canonical weights file at {str(path)!r}")
    try:
        canonical, expected = _parse(path, said), said["digest"]
    # Whatever the library and the parsing below make of a damaged file.
    except Exception as error:
        raise RequestError(
            f"the weights file {str(path)!r} is damaged ({brief(error)}); delete it "
            "and fetch or convert it again"
        ) from error
    found = canonical.digest
    row = KNOWN.get(canonical.name)
    pinned = row.digests if row and row.digests else (expected,)
    if found != expected or found not in pinned:
        raise RequestError(
            f"the weights file {str(path)!r} was changed: its numbers have digest "
            f"{found[:16]}, expected {pinned[0][:16]!r}; delete it and fetch or "
            "convert it again"
        )
    return canonical


def _parse(path: Path, said: dict[str, str]) -> Canonical:
    from safetensors import safe_open

    name, known = said["name"], KNOWN.get(said["name"])
    if said["network"] not in ("vgg19", "vgg16") or not (known or name == "unknown"):
        raise ValueError(f"{said['network']!r} {name!r}")
    network = cast(Network, said["network"])
    layers: Layers = {}
    with safe_open(path, framework="numpy") as file:
        for row in convolutions(network):
            kernel = _tensor(
                file, f"{row.name}/kernel", [3, 3, row.inputs, row.channels]
            )
            layers[row.name] = kernel, _tensor(file, f"{row.name}/bias", [row.channels])
    input_range = _input_range(said["preprocessing"])
    if known and (known.network, known.input_range) != (network, input_range):
        raise ValueError(f"{name} with {network} and {input_range}")
    return Canonical(
        network,
        name,
        layers,
        input_range,
        known.origin.licence if known else "unknown",
        said["source"],
        said["source_sha256"],
    )


def _tensor(file: Any, name: str, shape: list[int]) -> np.ndarray:
    # The header is asked first, so that a lying file costs no memory.
    entry = file.get_slice(name)
    found = entry.get_shape(), entry.get_dtype()
    if found not in ((shape, "F32"), (shape, "F16")):
        raise ValueError(f"{name} is {found}, expected {shape} of F32 or F16")
    array: np.ndarray = file.get_tensor(name)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} is not finite")
    return array


def _input_range(text: str) -> InputRange:
    fields = json.loads(text)
    numbers = [float(fields["scale"]), *map(float, fields["mean"] + fields["std"])]
    scale, red, green, blue, red_std, green_std, blue_std = numbers
    if not all(map(math.isfinite, numbers)) or 0 in numbers[4:]:
        raise ValueError(f"preprocessing {text}")
    return InputRange(scale, (red, green, blue), (red_std, green_std, blue_std))
