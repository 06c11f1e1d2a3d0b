"""The five linear layers of LPIPS over VGG16: fetched, pinned, stored and read.

They weigh the channels of a torchvision VGG16 (Zhang et al., 2018, version 0.1). Seven
kilobytes, so they are compared with their digest whole, whatever file they came in.
"""

import hashlib
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from nst_jax import disk
from nst_jax.errors import RequestError
from nst_jax.pretrained import fetch, torchfile
from nst_jax.pretrained.canonical import brief
from nst_jax.pretrained.download import sha256_of
from nst_jax.pretrained.known import File, IndexCopy, Origin

Linear = dict[str, Float32[np.ndarray, "_"]]

_FILE = File(7289, "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868")
ORIGIN = Origin(
    name="lpips-vgg16",
    url=(
        "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/"
        "lpips/weights/v0.1/vgg.pth"
    ),
    file=_FILE,
    licence=(
        "BSD-2-Clause: Richard Zhang, Phillip Isola, Alexei A. Efros, Eli Shechtman "
        "and Oliver Wang, The Unreasonable Effectiveness of Deep Features as a "
        "Perceptual Metric, CVPR 2018"
    ),
    index=IndexCopy(
        package="lpips",
        version="0.1.4",
        archive="lpips-0.1.4-py3-none-any.whl",
        archive_sha256=(
            "fd537af5828b69d2e6ffc0a397bd506dbc28ca183543617690844c08e102ec5e"
        ),
        member="lpips/weights/v0.1/vgg.pth",
        file=_FILE,
    ),
)
# How many channels of each layer they weigh.
CHANNELS = {
    "relu1_2": 64,
    "relu2_2": 128,
    "relu3_3": 256,
    "relu4_3": 512,
    "relu5_3": 512,
}
DIGEST = "072ef7ea57dbcc19be509a0ca98e6e308a40cacdbf38635eb5daf90572139edd"


def bring(source: fetch.Source, announce: fetch.Announce, *, quiet: bool) -> Path:
    """The stored file, fetched first if it is not on this machine."""
    return fetch.bring(ORIGIN, convert, source, announce, quiet=quiet)


def is_original(path: Path) -> bool:
    """Whether that is the authors' file."""
    try:
        is_as_long = path.is_file() and path.stat().st_size == _FILE.size
        return is_as_long and sha256_of(path) == _FILE.sha256
    except (OSError, ValueError):  # whoever reads it says what is wrong with it
        return False


def convert(file: Path, said: str, target: Path, *, overwrite: bool = True) -> None:
    """Stores the layers of the authors' file."""
    from safetensors.numpy import save

    if target.suffix != ".safetensors":
        raise RequestError(
            f"expected an output like FOLDER/NAME.safetensors, found {str(target)!r}"
        )
    disk.check(target, overwrite=overwrite)

    with torchfile.legacy_entries(file) as found:
        layers = {
            name: np.ascontiguousarray(found[f"lin{index}.model.1.weight"].load())
            for index, name in enumerate(CHANNELS)
        }
    flat = {name: array.reshape(-1) for name, array in layers.items()}
    said_of = {"licence": ORIGIN.licence, "source": said, "digest": digest(flat)}
    disk.write(target, save(flat, said_of))


def read(path: Path) -> Linear:
    """The layers in a stored file, compared with their digest.

    Raises:
        RequestError: the file is damaged or changed.
    """
    from safetensors import safe_open

    try:
        if path.stat().st_size > 2 * _FILE.size:
            raise ValueError("it is too long")
        with safe_open(path, framework="numpy") as file:
            layers = {name: file.get_tensor(name) for name in CHANNELS}
        if digest(layers) != DIGEST:
            raise ValueError("its numbers were changed")
    # Whatever the library makes of a damaged file.
    except Exception as error:
        raise RequestError(
            f"expected the linear layers of LPIPS in {str(path)!r} ({brief(error)}); "
            f"delete it, then run python -m nst_jax.pretrained fetch {ORIGIN.name}"
        ) from error
    return layers


def digest(layers: Linear) -> str:
    """The sha256 of the numbers, layer by layer."""
    total = hashlib.sha256()
    for name in CHANNELS:
        array = layers[name]
        total.update(f"{name}{array.dtype.str}{array.shape}".encode())
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()
