"""Which network numbers belong to, and in which order conv1_1 takes its colours."""

import hashlib
from typing import Literal

import numpy as np

from nst_jax.errors import RequestError
from nst_jax.layers import Network
from nst_jax.pretrained.canonical import Canonical, Layers
from nst_jax.pretrained.fingerprints import FINGERPRINTS
from nst_jax.pretrained.known import INPUT_RANGES, KNOWN, Known

ChannelOrder = Literal["rgb", "bgr"]

# Anchors are rounded to 5 digits after the point.
_TOLERANCE = 6e-6


def canonical(
    network: Network,
    layers: Layers,
    source: str,
    source_sha256: str,
    *,
    channel_order: str = "",
    preprocessing: str = "",
) -> Canonical:
    """The network in canonical form, named if its numbers are known.

    Args:
        network: what the layers' names say.
        layers: kernels with conv1_1's input channels in the file's own order.
        source: the file's name or URL, for people.
        source_sha256: of the whole file.
        channel_order: "rgb" or "bgr", for an unknown network; a known one's numbers
            are believed instead.
        preprocessing: "caffe" or "torchvision", likewise.

    Raises:
        RequestError: a known network was permuted, or an unknown one is not described.
    """
    row = _candidate(network, layers)
    difference = "conv1_1 is not a known network's"
    if row:
        in_rgb = _in_rgb(layers, _order(row, layers))
        difference = _difference(row, in_rgb)
        if not difference:
            return Canonical(
                network,
                row.name,
                in_rgb,
                row.input_range,
                row.origin.licence,
                source,
                source_sha256,
            )
    if channel_order not in ("rgb", "bgr") or preprocessing not in INPUT_RANGES:
        raise RequestError(
            f"expected a known {network}, found unknown numbers ({difference}); if "
            "they are meant, convert the file with --channel_order=rgb or bgr and "
            "--preprocessing=caffe or torchvision"
        )
    return Canonical(
        network,
        "unknown",
        _in_rgb(layers, channel_order),
        INPUT_RANGES[preprocessing],
        "unknown",
        source,
        source_sha256,
    )


def fingerprint(kernel: np.ndarray, bias: np.ndarray) -> tuple[str, int]:
    """The start of the layer's sha256, and a sum that no permutation changes.

    The sum is that of the numbers' bit patterns as integers, hence exact.
    """
    kernel, bias = np.ascontiguousarray(kernel), np.ascontiguousarray(bias)
    total = hashlib.sha256(kernel.data)
    total.update(bias.data)
    bits = (array.view(np.uint32).sum(dtype=np.uint64) for array in (kernel, bias))
    return total.hexdigest()[:16], sum(map(int, bits))


def _candidate(network: Network, layers: Layers) -> Known | None:
    """The known network that conv1_1 is from, in whatever order its numbers stand."""
    kernel, bias = layers["conv1_1"]
    taps = np.sort(kernel[0, 0], axis=0)
    _, total = fingerprint(kernel, bias)
    for row in KNOWN.values():
        distance = np.abs(taps - np.sort(row.anchor)[:, None]).max(axis=0)
        exact = FINGERPRINTS.get(row.name, {}).get("conv1_1", ("", -1))
        if row.network == network and (
            distance.min() < _TOLERANCE or exact[1] == total
        ):
            return row
    return None


def _order(row: Known, layers: Layers) -> ChannelOrder:
    """The order of conv1_1's input that is nearer to the network's anchor."""
    tap, anchor = layers["conv1_1"][0][0, 0, :, 0], np.array(row.anchor)
    return (
        "rgb"
        if np.abs(tap - anchor).sum() < np.abs(tap[::-1] - anchor).sum()
        else "bgr"
    )


def _difference(row: Known, layers: Layers) -> str:
    """How the numbers differ from the known network's; empty if they do not.

    Where only the anchor of a network is known, it decides alone.

    Raises:
        RequestError: they are that network's numbers in another order.
    """
    tap, anchor = layers["conv1_1"][0][0, 0, :, 0], np.array(row.anchor)
    exact = FINGERPRINTS.get(row.name, {})
    if not exact and np.abs(tap - anchor).max() >= _TOLERANCE:
        raise _permuted("conv1_1", row)
    for name, (sha256, total) in exact.items():
        found, found_total = fingerprint(*layers[name])
        if found != sha256 and found_total == total:
            raise _permuted(name, row)
        if found != sha256:
            return f"{name} is not {row.name}'s"
    return ""


def _permuted(layer: str, row: Known) -> RequestError:
    return RequestError(
        f"layer {layer}: expected the numbers of {row.name} in their order, found them "
        "permuted; fetch or convert the original file"
    )


def _in_rgb(layers: Layers, order: str) -> Layers:
    kernel, bias = layers["conv1_1"]
    if order == "bgr":
        kernel = np.ascontiguousarray(kernel[:, :, ::-1])
    return {**layers, "conv1_1": (kernel, bias)}
