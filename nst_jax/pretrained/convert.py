"""From a weights file of any origin to the canonical one."""

from pathlib import Path

from nst_jax import disk
from nst_jax.errors import RequestError
from nst_jax.pretrained import canonical, formats, recognise
from nst_jax.pretrained.canonical import Canonical
from nst_jax.pretrained.download import sha256_of


def read(path: Path, *, channel_order: str = "", preprocessing: str = "") -> Canonical:
    """The network in a file of any supported format, canonical ones included.

    `channel_order` and `preprocessing` describe a network that is not known.
    """
    formats.first_bytes(path, 1)
    if canonical.metadata(path):
        return canonical.read(path)
    network, layers = formats.read(path)
    return recognise.canonical(
        network,
        layers,
        path.name,
        sha256_of(path),
        channel_order=channel_order,
        preprocessing=preprocessing,
    )


def convert(
    source: Path,
    target: Path,
    *,
    network: str = "",
    channel_order: str = "",
    preprocessing: str = "",
    overwrite: bool = False,
) -> Canonical:
    """The network in `source`, stored canonically at `target`."""
    if target.suffix != ".safetensors":
        raise RequestError(
            f"expected an output like FOLDER/NAME.safetensors, found {str(target)!r}"
        )
    disk.check(target, overwrite=overwrite)
    found = read(source, channel_order=channel_order, preprocessing=preprocessing)
    if network not in ("", found.network):
        raise RequestError(
            f"expected weights of {network} in {str(source)!r}, found {found.network}"
        )
    canonical.write(target, found)
    return found
