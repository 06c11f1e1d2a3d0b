"""Image files in and out: outside, files; inside, float32 sRGB arrays in 0..1.

Knows neither JAX nor the command line. `decode` and `encode` know the formats,
`profiles` the colours, `sampling` the sizes; its functions are here as well.
"""

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from jaxtyping import Float32

from nst_jax import disk
from nst_jax.errors import RequestError
from nst_jax.images import decode, encode
from nst_jax.images.letters import lettering as lettering
from nst_jax.images.sampling import Filter as Filter
from nst_jax.images.sampling import Rule as Rule
from nst_jax.images.sampling import check_size as check_size
from nst_jax.images.sampling import crop as crop
from nst_jax.images.sampling import resize as resize
from nst_jax.images.sampling import working_size as working_size

# Of files that are likely to be pictures; what they are, their bytes say.
SUFFIXES = (*encode.FORMATS, ".gif")
# Some decoders take the whole file into memory, whatever its header says.
_MAX_BYTES = 2**31


class Picture(NamedTuple):
    """What a file shows. Colour is not multiplied by the opacity."""

    pixels: Float32[np.ndarray, "h w 3"]
    alpha: Float32[np.ndarray, "h w"] | None  # None: all of it is opaque
    sha256: str  # of the file's bytes


def read(path: str | os.PathLike[str], *, max_pixels: int) -> Picture:
    """The picture in a file: upright, in sRGB, its first frame or page.

    Args:
        path: a JPEG, PNG, WebP, TIFF, BMP or GIF file, whatever its suffix.
        max_pixels: larger pictures are refused before they are decoded.
    """
    data = _content(path)
    pixels, alpha = decode.decode(data, _quoted(path), max_pixels)
    return Picture(pixels, alpha, hashlib.sha256(data).hexdigest())


def measured(path: str | os.PathLike[str], *, max_pixels: int) -> tuple[int, int]:
    """The rows and columns of the picture in a file, by its header.

    The arguments are those of `read`, which may still find the file damaged.
    """
    name = _quoted(path)
    with _opened(name, path) as file:
        return decode.measured(file, name, max_pixels)


def on_white(picture: Picture) -> Float32[np.ndarray, "h w 3"]:
    """The picture as it looks on white paper."""
    return _laid_on_white(picture.pixels, picture.alpha)


def _laid_on_white(
    pixels: Float32[np.ndarray, "h w 3"], alpha: Float32[np.ndarray, "h w"] | None
) -> Float32[np.ndarray, "h w 3"]:
    if alpha is None:
        return pixels
    return pixels * alpha[..., None] + (1 - alpha[..., None])


def check_output(
    path: str | os.PathLike[str], *, overwrite: bool, bit_depth: int
) -> None:
    """Raises RequestError if `write` could not write there; leaves nothing behind.

    Args:
        path: the picture to be.
        overwrite: whether it may be there already.
        bit_depth: 8 or 16.
    """
    _form(Path(path), bit_depth)
    disk.check(Path(path), overwrite=overwrite)


def check_shape(path: str | os.PathLike[str], shape: tuple[int, int]) -> None:
    """Raises RequestError if the path's format has no room for rows and columns."""
    form = _form(Path(path), 8)
    longest = encode.LONGEST_SIDE.get(form, 2**31)
    if max(shape) > longest:
        raise RequestError(
            f"{form} pictures are at most {longest} px on a side and "
            f"{_quoted(path)} would have {max(shape)} px; write a PNG or TIFF file"
        )


def _form(path: Path, bit_depth: int) -> str:
    """The format that the suffix stands for, if it takes this depth."""
    form = encode.FORMATS.get(path.suffix.lower())
    if form is None:
        raise RequestError(
            f"{_quoted(path)} should end in one of {' '.join(encode.FORMATS)}, which "
            "decides the format"
        )
    depths = (8, 16) if form in encode.WIDE else (8,)
    if bit_depth not in depths:
        raise RequestError(
            f"{form} files have {' or '.join(map(str, depths))} bits, found "
            f"{bit_depth}; 16 bits go into PNG and TIFF files"
        )
    return form


def write(
    path: str | os.PathLike[str],
    pixels: Float32[np.ndarray, "h w 3"],
    *,
    alpha: Float32[np.ndarray, "h w"] | None = None,
    bit_depth: int = 8,
    quality: int = 95,
    settings: str | None = None,
    overwrite: bool = True,
) -> None:
    """Writes the picture, whole or not at all; the arguments are those of `encoded`.

    What has that name is replaced, as other libraries do; the command line asks first.

    Raises:
        FileExistsError: without `overwrite`, something has that name.
    """
    data = encoded(
        path,
        pixels,
        alpha=alpha,
        bit_depth=bit_depth,
        quality=quality,
        settings=settings,
    )
    disk.write(Path(path), data, overwrite=overwrite)


def encoded(
    path: str | os.PathLike[str],
    pixels: Float32[np.ndarray, "h w 3"],
    *,
    alpha: Float32[np.ndarray, "h w"] | None = None,
    bit_depth: int = 8,
    quality: int = 95,
    settings: str | None = None,
) -> bytes:
    """The bytes of a picture file.

    Args:
        path: its suffix decides the format.
        pixels: cut off to 0..1 and rounded to the nearest step.
        alpha: opacity; JPEG and BMP, which have none, get white behind it.
        bit_depth: 8, or 16 for PNG and TIFF.
        quality: 1 to 100, for JPEG and WebP; at 100 WebP is lossless.
        settings: text for `read_settings`; left out of BMP files, and if it is
            longer than `encode.SETTINGS_LIMIT` bytes.
    """
    form = _form(Path(path), bit_depth)
    if not np.issubdtype(pixels.dtype, np.floating):
        raise RequestError(
            f"pixels must be floating point in 0..1, got {pixels.dtype}; divide 8-bit "
            "values by 255"
        )
    if alpha is not None and form in encode.TRANSPARENT:
        pixels = np.dstack((pixels, alpha))
    else:
        pixels = _laid_on_white(pixels, alpha)
    if not np.isfinite(pixels).all():
        raise ValueError("a picture must consist of finite numbers")
    top = 2**bit_depth - 1
    samples = np.rint(np.clip(pixels, 0, 1).astype(np.float64) * top)
    return encode.encode(
        samples.astype(np.uint16 if bit_depth == 16 else np.uint8),
        form,
        quality,
        settings,
    )


def read_settings(path: str | os.PathLike[str]) -> str:
    """The settings that were stored in a picture when it was written."""
    name = _quoted(path)
    data = _content(path)
    with decode.foreign(name):
        settings = encode.settings_in(decode.opened(data, name))
    if settings is None:
        raise RequestError(
            f"{name} holds no settings; give a picture that this program wrote as PNG, "
            "JPEG, WebP or TIFF"
        )
    return settings


def _content(path: str | os.PathLike[str]) -> bytes:
    """All of a regular file that is not empty.

    Read once, so that what is hashed is what is decoded, whatever happens to it.
    """
    with _opened(_quoted(path), path) as file:
        return file.read()


@contextlib.contextmanager
def _opened(name: str, path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A block that reads from a regular file that is not empty."""
    try:
        _check_source(name, os.stat(path))
        with open(path, "rb") as file:
            yield file
    except RequestError:
        raise
    except FileNotFoundError as error:
        raise RequestError(f"{name} does not exist; check the name") from error
    except (OSError, ValueError, MemoryError) as error:
        raise RequestError(
            f"{name} cannot be opened ({disk.reason(error)}); check the name and who "
            "may read the file"
        ) from error


def _check_source(name: str, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise RequestError(f"{name} is a folder; give a file")
    if not stat.S_ISREG(status.st_mode):  # reading a pipe could wait for ever
        raise RequestError(f"{name} is a pipe or a device; give a regular file")
    if status.st_size == 0:
        raise RequestError(f"{name} is empty; give a file with a picture in it")
    if status.st_size > _MAX_BYTES:
        raise RequestError(
            f"{name} has {status.st_size} bytes, more than the {_MAX_BYTES} that a "
            "picture may have; give a smaller file"
        )


def _quoted(path: str | os.PathLike[str]) -> str:
    """The name for a message, on one line whatever is in it."""
    return repr(os.fspath(path))
