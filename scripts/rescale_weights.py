"""Rescales a network as Gatys et al. (2016) did, over pictures of one's own.

Their VGG19 has weights "such that the mean activation of each convolutional filter over
images and positions is equal to one"; the file is no longer published, and their images
were ImageNet's. As a ReLU and a maximum pool commute with positive factors, what the
network computes stays the same but for these factors.

    python scripts/rescale_weights.py --images=FOLDER --output=weights/mine.safetensors
    python -m nst_jax.run --preset=gatys2016 --weights=weights/mine.safetensors ...
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax import disk, layers, pretrained, vgg
from nst_jax.arrays import Image, Params, Preprocessing, Weights
from nst_jax.errors import RequestError
from nst_jax.inputs import load_image
from nst_jax.pretrained import canonical
from nst_jax.pretrained.known import InputRange

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"}


def means(weights: Weights, pictures: Iterator[Image]) -> dict[str, np.ndarray]:
    """The mean of each filter after its ReLU, over all pictures' positions."""
    network = cast(layers.Network, weights.network)
    rows = [row for row in layers.table(network) if row.kind == "relu"]
    names = tuple(row.name for row in rows)
    forward = vgg.Forward(network=network)

    @jax.jit
    def sums(params: Params, preprocessing: Preprocessing, image: Image) -> object:
        found = vgg.features(params, preprocessing, image, names, forward)
        return {name: f.sum((0, 1)) for name, f in found.items()}

    total = {row.name: np.zeros(row.channels) for row in rows}
    positions = dict.fromkeys(names, 0)
    for image in pictures:
        found = jax.device_get(sums(weights.params, weights.preprocessing, image))
        for row in rows:
            total[row.name] += found[row.name]
            height, width, _ = image.shape
            positions[row.name] += (height // row.stride) * (width // row.stride)
    return {name: total[name] / positions[name] for name in names}


def rescaled(weights: Weights, averages: dict[str, np.ndarray]) -> canonical.Layers:
    """The network whose filters have a mean of one; a silent filter stays as it is."""
    made: canonical.Layers = {}
    before = np.ones(3)
    for row in canonical.convolutions(cast(layers.Network, weights.network)):
        mean = averages[row.name.replace("conv", "relu")]
        after = np.where(mean > 0, mean, 1.0)
        kernel, bias = (
            np.asarray(weights.params[row.name][k]) for k in ("kernel", "bias")
        )
        scaled = kernel * before[:, None] / after
        made[row.name] = scaled.astype(np.float32), (bias / after).astype(np.float32)
        before = after
    return made


def pictures(folder: Path, size: int) -> Iterator[Image]:
    """Every picture of a folder, `size` pixels on its short side."""
    if not folder.is_dir():
        raise RequestError(
            f"--images must be a folder of pictures, got {str(folder)!r}"
        )
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    if not found:
        raise RequestError(f"expected pictures in {str(folder)!r}, found none")
    for path in found:
        yield jnp.asarray(load_image(path, size, "short"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--output", type=Path, required=True, help=".safetensors file")
    parser.add_argument("--weights", default="vgg19-caffe", help="what is rescaled")
    parser.add_argument("--network", choices=["vgg19", "vgg16"], default="vgg19")
    parser.add_argument("--size", type=int, default=256, help="short side in pixels")
    parser.add_argument("--overwrite", action="store_true")
    asked = parser.parse_args()
    try:
        if asked.output.suffix != ".safetensors":
            raise RequestError(
                f"--output must end in .safetensors, got {str(asked.output)!r}"
            )
        disk.check(asked.output, overwrite=asked.overwrite)
        weights = pretrained.load(asked.network, asked.weights)
        found = means(weights, pictures(asked.images, asked.size))
        scale, mean, std = (np.asarray(x).tolist() for x in weights.preprocessing)
        network = canonical.Canonical(
            asked.network,
            "unknown",
            rescaled(weights, found),
            InputRange(scale, tuple(mean), tuple(std)),
            weights.licence,
            f"{weights.name}, rescaled to a mean activation of 1",
            weights.digest,
        )
        canonical.write(asked.output, network)
    except RequestError as error:
        print(f"rescale_weights: {error}", file=sys.stderr)
        return 2
    print(f"{asked.output}: {weights.name} rescaled")
    return 0


if __name__ == "__main__":
    sys.exit(main())
