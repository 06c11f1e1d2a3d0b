"""Image files in and out: outside, files; inside, float32 sRGB arrays in 0..1.

Knows neither JAX nor the command line. `decode` and `encode` know the formats,
`profiles` the colours, `sampling` the sizes; its functions are here as well.
"""

import contextlib
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from nst_jax.errors import RequestError
from nst_jax.images import decode, encode
from nst_jax.images.sampling import Filter as Filter
from nst_jax.images.sampling import Rule as Rule
from nst_jax.images.sampling import crop as crop
from nst_jax.images.sampling import resize as resize
from nst_jax.images.sampling import working_size as working_size

# Some decoders take the whole file into memory, whatever its header says.
_MAX_BYTES = 2**31


class Picture(NamedTuple):
    """What a file shows. Colour is not multiplied by the opacity."""

    pixels: Float32[np.ndarray, "h w 3"]
    alpha: Float32[np.ndarray, "h w"] | None  # None: all of it is opaque


def read(path: str | os.PathLike[str], *, max_pixels: int) -> Picture:
    """The picture in a file: upright, in sRGB, its first frame or page.

    Args:
        path: a JPEG, PNG, WebP, TIFF, BMP or GIF file, whatever its suffix.
        max_pixels: larger pictures are refused before they are decoded.
    """
    with _opened(path) as file:
        return Picture(*decode.decode(file, _quoted(path), max_pixels))


def check_output(
    path: str | os.PathLike[str],
    *,
    overwrite: bool,
    bit_depth: int,
    shape: tuple[int, int] | None = None,
) -> None:
    """Raises RequestError if `write` could not write there; leaves nothing behind.

    Args:
        path: the picture to be.
        overwrite: whether it may be there already.
        bit_depth: 8 or 16.
        shape: rows and columns, where they are known already.
    """
    target = Path(path)
    form = _form(target, bit_depth)
    longest = encode.LONGEST_SIDE.get(form, 2**31)
    if shape is not None and max(shape) > longest:
        raise RequestError(
            f"{form} pictures are at most {longest} px on a side and "
            f"{_quoted(path)} would have {max(shape)} px; write a PNG or TIFF file"
        )
    try:
        _check_target(target, overwrite)
        probe = _beside(target)
        probe.touch(exist_ok=False)
        probe.unlink()
    except (OSError, ValueError) as error:
        raise RequestError(
            f"{_quoted(path)} cannot be written ({_reason(error)}); "
            "choose another file or folder"
        ) from error


def _check_target(target: Path, overwrite: bool) -> None:
    folder = target.parent
    if not folder.is_dir():
        raise RequestError(
            f"the folder {_quoted(folder)} of the output does not exist; make it, or "
            "choose another"
        )
    if target.is_dir():
        raise RequestError(f"{_quoted(target)} is a folder; give the name of a file")
    if target.exists() and not target.is_file():
        raise RequestError(f"{_quoted(target)} is not a regular file; choose another")
    if os.path.lexists(target) and not overwrite:
        raise RequestError(
            f"{_quoted(target)} is there already; choose another name or allow "
            "--overwrite"
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
) -> None:
    """Writes the picture, whole or not at all, over whatever is there.

    Args:
        path: its suffix decides the format.
        pixels: cut off to 0..1 and rounded to the nearest step.
        alpha: opacity; JPEG and BMP, which have none, get white behind it.
        bit_depth: 8, or 16 for PNG and TIFF.
        quality: 1 to 100, for JPEG and WebP; at 100 WebP is lossless.
        settings: text for `read_settings`; left out of BMP files, and if it is
            longer than `encode.SETTINGS_LIMIT` bytes.
    """
    target = Path(path)
    form = _form(target, bit_depth)
    if alpha is not None and form in encode.TRANSPARENT:
        pixels = np.dstack((pixels, alpha))
    elif alpha is not None:
        pixels = pixels * alpha[..., None] + (1 - alpha[..., None])
    if not np.isfinite(pixels).all():
        raise ValueError("a picture must consist of finite numbers")
    top = 2**bit_depth - 1
    samples = np.rint(np.clip(pixels, 0, 1).astype(np.float64) * top)
    data = encode.encode(
        samples.astype(np.uint16 if bit_depth == 16 else np.uint8),
        form,
        quality,
        settings,
    )
    _replace(target, data)


def _replace(target: Path, data: bytes) -> None:
    """Puts a whole new file where the old one was, in one step."""
    fresh = _beside(target)
    try:
        with fresh.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)


def _beside(target: Path) -> Path:
    """A name in the same folder that nobody uses; short, as the target may be long."""
    return target.parent / f".nst_jax-{secrets.token_hex(8)}.tmp"


def read_settings(path: str | os.PathLike[str]) -> str:
    """The settings that were stored in a picture when it was written."""
    name = _quoted(path)
    with _opened(path) as file, decode.foreign(name):
        settings = encode.settings_in(decode.opened(file, name))
    if settings is None:
        raise RequestError(
            f"{name} holds no settings; give a picture that this program wrote as PNG, "
            "JPEG, WebP or TIFF"
        )
    return settings


def file_digest(path: str | os.PathLike[str]) -> str:
    """The sha256 of a file's bytes, in hexadecimal."""
    with _opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[BufferedReader]:
    """A regular file that is not empty."""
    name = _quoted(path)
    try:
        _check_source(name, os.stat(path))
        file = open(path, "rb")  # noqa: SIM115 (errors inside `with` are others')
    except RequestError:
        raise
    except FileNotFoundError as error:
        raise RequestError(f"{name} does not exist; check the name") from error
    except (OSError, ValueError) as error:
        raise RequestError(
            f"{name} cannot be opened ({_reason(error)}); check the name and who may "
            "read the file"
        ) from error
    with file:
        yield file


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


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _quoted(path: str | os.PathLike[str]) -> str:
    """The name for a message, on one line whatever is in it."""
    return repr(os.fspath(path))
