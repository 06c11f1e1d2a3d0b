"""Which array of a file is which convolution's kernel or bias.

Every format is read into entries, which know their shape before their numbers
are loaded: a file that lies about its sizes, or holds large fully connected
layers, costs no memory.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from nst_jax.errors import RequestError
from nst_jax.layers import Layer, Network
from nst_jax.pretrained.canonical import Layers, convolutions

# conv1_1.weight, conv1_1_W (Frossard), block1_conv1/block1_conv1_W_1:0 (Keras).
_NAMED = re.compile(
    r"(?:.*[/.])?(?:block([1-5])_conv|conv([1-5])_)([1-4])(?![0-9])[^/.]*(?:[/.].*)?"
)
# features.0.weight (torchvision); "0.weight" where only the features were saved.
_TORCH = re.compile(r"(?:.*\bfeatures\.)?([0-9]{1,3})\.(?:weight|bias)")
# Conv_0/kernel, VGG16_0/Conv_0/kernel (Flax).
_FLAX = re.compile(r"(?:VGG1[69]_0/)?Conv_([0-9]{1,3})/(?:kernel|bias)")
# Keras 3 forgets the layers' names and counts the layers of each class instead.
_KERAS_3 = re.compile(r"(?:.*/)?conv2d(?:_([0-9]{1,3}))?/vars/[01]")


class Entry(NamedTuple):
    """An array in a file, not yet read."""

    shape: tuple[int, ...]
    load: Callable[[], np.ndarray]


def pick(entries: Mapping[str, Entry]) -> tuple[Network, Layers]:
    """The network and its convolutions, kernels as HWIO float32.

    The order of conv1_1's input channels is the file's own.
    """
    groups = _grouped(entries)
    network = _network(set(groups))
    return network, {
        row.name: _layer(row, groups[row.name]) for row in convolutions(network)
    }


def _grouped(entries: Mapping[str, Entry]) -> dict[str, list[Entry]]:
    """Entries by layer name; what belongs to no convolution is left out."""
    named: dict[str, list[Entry]] = {}
    counted: dict[int, list[Entry]] = {}
    for name, entry in entries.items():
        if match := _NAMED.fullmatch(name):
            block = match[1] or match[2]
            named.setdefault(f"conv{block}_{match[3]}", []).append(entry)
        elif match := (
            _TORCH.fullmatch(name) or _KERAS_3.fullmatch(name) or _FLAX.fullmatch(name)
        ):
            counted.setdefault(int(match[1] or 0), []).append(entry)
    if named:
        return named
    lengths: dict[int, Network] = {16: "vgg19", 13: "vgg16"}
    if len(counted) not in lengths:
        raise RequestError(
            "expected the 16 convolutions of VGG19 or the 13 of VGG16 (without batch "
            f"normalisation), found {len(counted)} layers with numbers; give a VGG "
            "file"
        )
    rows = convolutions(lengths[len(counted)])
    ordered = (counted[index] for index in sorted(counted))
    return {row.name: group for row, group in zip(rows, ordered, strict=True)}


def _network(names: set[str]) -> Network:
    network: Network = "vgg19" if "conv3_4" in names else "vgg16"
    expected = {row.name for row in convolutions(network)}
    if names != expected:
        missing = ", ".join(sorted(expected - names)) or "none"
        strange = ", ".join(sorted(names - expected)) or "none"
        raise RequestError(
            f"expected every convolution of {network}; missing: {missing}; not of "
            f"this network: {strange}; give a complete VGG19 or VGG16"
        )
    return network


def _layer(row: Layer, entries: list[Entry]) -> tuple[np.ndarray, np.ndarray]:
    shapes = sorted((entry.shape for entry in entries), key=len, reverse=True)
    hwio = (3, 3, row.inputs, row.channels)
    oihw = (row.channels, row.inputs, 3, 3)
    if shapes not in ([hwio, (row.channels,)], [oihw, (row.channels,)]):
        raise RequestError(
            f"layer {row.name}: expected a kernel {hwio} or {oihw} and a bias "
            f"({row.channels},), found {str(shapes)[:200]}; give a VGG19 or VGG16 file"
        )
    kernel, bias = sorted(entries, key=lambda entry: len(entry.shape), reverse=True)
    order = (2, 3, 1, 0) if kernel.shape == oihw else (0, 1, 2, 3)
    return (
        np.ascontiguousarray(_floats(row, kernel).transpose(order)),
        _floats(row, bias),
    )


def _floats(row: Layer, entry: Entry) -> np.ndarray:
    array = entry.load()
    if array.shape != entry.shape or array.dtype.kind != "f":
        raise RequestError(
            f"layer {row.name}: expected floating point numbers of shape "
            f"{entry.shape}, found {array.dtype} {array.shape}; the file is damaged"
        )
    with np.errstate(over="ignore"):  # an overflow is caught as infinite
        single = array.astype(np.float32)
    if not np.isfinite(single).all():
        raise RequestError(
            f"layer {row.name}: expected finite numbers, found NaN or infinity; the "
            "file is damaged"
        )
    return single
