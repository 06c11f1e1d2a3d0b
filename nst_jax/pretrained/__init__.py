"""Pretrained networks: found, fetched, checked, converted and loaded.

>>> weights = load("vgg19", "random", quiet=True)
>>> weights.params["conv1_1"]["kernel"].shape
(3, 3, 3, 64)
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from nst_jax.arrays import Preprocessing, Weights
from nst_jax.errors import RequestError
from nst_jax.layers import Network
from nst_jax.lpips import NETWORK, Perceptual
from nst_jax.pretrained import canonical, fetch, perceptual, places
from nst_jax.pretrained.convert import read
from nst_jax.pretrained.known import DEFAULTS, INPUT_RANGES, KNOWN, Known, look_up

__all__ = ["load", "load_lpips", "stands_for", "to_fetch"]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def load(
    network: Network = "vgg19",
    weights: str = "auto",
    *,
    source: fetch.Source = "auto",
    offline: bool = False,
    announce: Callable[[str], None] = _say,
    quiet: bool = False,
    seed: int = 0,
) -> Weights:
    """The network's numbers, fetched first if they are not on this machine.

    Args:
        network: "vgg19" or "vgg16".
        weights: "auto" (the network's original Caffe model), the name of a known
            network, the path of a weights file, or "random".
        source: where missing weights may come from.
        offline: never touch the network, whatever `source` says.
        announce: told, in single lines, what is fetched and what deserves a warning.
        quiet: no progress bar and nothing announced but warnings.
        seed: of random weights.

    Raises:
        RequestError: the weights cannot be had, are damaged, or are another network's.
    """
    if network not in DEFAULTS:
        raise RequestError(f"expected network vgg19 or vgg16, found {network!r}")
    if weights == "random":
        announce(
            f"random weights (seed {seed}): for tests and timing, not for pictures"
        )
        return _weights(_random(network, seed))
    path = _file(
        network,
        stands_for(network, weights),
        "none" if offline else source,
        (lambda _: None) if quiet else announce,
        quiet,
    )
    found = _read(path)
    _check(found, network, weights, path)
    # Of what was made from a known network only the numbers are others.
    if found.name == "unknown" and found.source.partition(",")[0] not in KNOWN:
        announce(
            f"warning: {str(path)!r} holds no known network; its channel order and "
            "preprocessing are as whoever converted it said"
        )
    return _weights(found)


def load_lpips(
    *,
    source: fetch.Source = "auto",
    offline: bool = False,
    announce: Callable[[str], None] = _say,
    quiet: bool = False,
) -> Perceptual:
    """The numbers of LPIPS over VGG16, fetched first if they are not on this machine.

    Raises:
        RequestError: they cannot be had, or are damaged.
    """
    source = "none" if offline else source
    linear = perceptual.bring(source, announce, quiet=quiet)
    network = fetch.fetch(KNOWN[NETWORK], source, announce, quiet=quiet)
    return Perceptual(
        _weights(_read(network)).params,
        {name: jnp.asarray(each) for name, each in perceptual.read(linear).items()},
    )


def stands_for(network: Network, weights: str) -> str:
    """What `load` takes that setting for: "random", a known name, or a file's path.

    "auto" is the file that $NST_JAX_WEIGHTS names, or else the network's own.
    """
    if weights == "auto":
        file = places.named_file()
        return str(file.absolute()) if file else DEFAULTS[network]
    if weights == "random" or weights in KNOWN:
        return weights
    if not weights:
        raise RequestError(
            f"--weights must be auto, random, a file or one of {', '.join(KNOWN)}, "
            "got ''"
        )
    path = Path(os.path.expanduser(weights))
    return str(path.absolute()) if os.path.exists(path) else str(path)


def to_fetch(
    network: Network,
    weights: str,
    *,
    source: fetch.Source = "auto",
    offline: bool = False,
) -> int:
    """How many bytes `load` would fetch; 0 if what it needs is on this machine.

    Raises:
        RequestError: they are not here and may not be fetched.
    """
    name = stands_for(network, weights)
    if name not in KNOWN:
        return 0
    row = _row(network, name)
    if places.named_file() or places.find(name):
        return 0
    return fetch.check(row.origin, "none" if offline else source)


def _row(network: Network, name: str) -> Known:
    row = look_up(name)
    if row.network != network:
        raise RequestError(
            f"expected weights of {network}, found {name}; give "
            f"--network={row.network} or other --weights"
        )
    return row


def _file(
    network: Network,
    name: str,
    source: fetch.Source,
    announce: Callable[[str], None],
    quiet: bool,
) -> Path:
    """That file; of a known network $NST_JAX_WEIGHTS' own, or found, or fetched."""
    if name in KNOWN:
        row = _row(network, name)
        file = places.named_file()
        return file or fetch.fetch(row, source, announce, quiet=quiet)
    path = Path(name)
    if not path.suffix and not os.path.exists(path):
        look_up(name)  # a misspelt name, answered with the nearest one
    return path


def _read(path: Path) -> canonical.Canonical:
    try:
        return read(path)
    except RequestError as error:
        if path not in map(places.find, KNOWN):
            raise
        # The program put it there; nobody else can bring it back.
        raise RequestError(f"{error}; delete it, and the next run fetches it") from None


def _check(
    found: canonical.Canonical, network: Network, weights: str, path: Path
) -> None:
    if found.network != network:
        raise RequestError(
            f"expected weights of {network} in {str(path)!r}, found {found.network}; "
            "give other --weights or another --network"
        )
    if weights in KNOWN and found.name != weights:
        raise RequestError(
            f"expected {weights} in {str(path)!r}, found {found.name}; "
            f"{places.VARIABLE} names that file: unset it, or give the path"
        )


def _weights(found: canonical.Canonical) -> Weights:
    """What the program computes with: JAX arrays, always float32."""
    scale, mean, std = (jnp.asarray(x, jnp.float32) for x in found.input_range)
    return Weights(
        found.network,
        {
            name: {
                "kernel": jnp.asarray(kernel, jnp.float32),
                "bias": jnp.asarray(bias, jnp.float32),
            }
            for name, (kernel, bias) in found.layers.items()
        },
        Preprocessing(scale, mean, std),
        found.name,
        found.digest,
        found.licence,
    )


def _random(network: Network, seed: int) -> canonical.Canonical:
    """He's initialisation: each ReLU layer keeps the size of what enters it."""
    draw = np.random.default_rng(seed)
    layers: canonical.Layers = {}
    for row in canonical.convolutions(network):
        kernel = draw.standard_normal((3, 3, row.inputs, row.channels), np.float32)
        kernel *= np.float32((2 / (9 * row.inputs)) ** 0.5)
        layers[row.name] = kernel, np.zeros(row.channels, np.float32)
    return canonical.Canonical(
        network, "random", layers, INPUT_RANGES["torchvision"], "none", "random", ""
    )
