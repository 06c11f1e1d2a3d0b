"""Bytes of an image file to float32 sRGB arrays: the reading half of `images`.

The first bytes decide the format, never the file's name. Pillow's plugins are
called one by one instead of through `Image.open`: what is not in the table is
not tried, and the limit on pixels is the caller's, not Pillow's global one.
Pillow cuts 16-bit colour down to 8 bits, so imagecodecs (libpng, libtiff, Little
CMS) reads every 16-bit file.
"""

import contextlib
import io
import os
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np
from jaxtyping import Float32, UInt16
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from nst_jax.errors import RequestError
from nst_jax.images import profiles

Pixels = Float32[np.ndarray, "h w 3"]
Alpha = Float32[np.ndarray, "h w"]

# Tags of TIFF; EXIF's are the same.
_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _ORIENTATION = 256, 257, 258, 262, 274
_SAMPLES, _PLANAR, _EXTRA, _SAMPLE_FORMAT = 277, 284, 338, 339

_PLUGINS: dict[bytes, Callable[[BinaryIO], ImageFile.ImageFile]] = {
    b"\xff\xd8\xff": JpegImagePlugin.JpegImageFile,
    b"\x89PNG\r\n\x1a\n": PngImagePlugin.PngImageFile,
    b"RIFF": WebPImagePlugin.WebPImageFile,
    b"II*\0": TiffImagePlugin.TiffImageFile,
    b"MM\0*": TiffImagePlugin.TiffImageFile,
    b"II+\0": TiffImagePlugin.TiffImageFile,
    b"MM\0+": TiffImagePlugin.TiffImageFile,
    b"BM": BmpImagePlugin.BmpImageFile,
    b"GIF8": GifImagePlugin.GifImageFile,
}
_LOCK = threading.Lock()
# Each passes over the whole picture, and takes ten bytes; ten of them are usual. Bytes
# behind the picture, such as a film, hold the mark by chance every 65536 bytes.
_SCAN, _MOST_SCANS = b"\xff\xda", 10_000


def decode(data: bytes, name: str, max_pixels: int) -> tuple[Pixels, Alpha | None]:
    """Colour and opacity (None where all is opaque) of a file.

    Args:
        data: all of it.
        name: how messages call the file.
        max_pixels: larger pictures are refused before they are decoded.
    """
    with foreign(name):
        image = opened(data, name)
        _check_size(image.size, name, max_pixels)
        if image.format == "JPEG" and data.count(_SCAN) > _MOST_SCANS:
            raise ValueError(f"a JPEG of more than {_MOST_SCANS} scans")
        pixels, alpha = _wide(image, data) if _is_wide(image) else _narrow(image)
    if alpha is not None and alpha.min() == 1.0:
        return pixels, None
    return pixels, alpha


def measured(file: BinaryIO, name: str, max_pixels: int) -> tuple[int, int]:
    """The rows and columns of the upright picture in a file, by its header.

    Args:
        file: is read from its start.
        name: how messages call it.
        max_pixels: larger pictures are refused.
    """
    with foreign(name):
        start = file.read(12)
        file.seek(0)
        image = _plugin(start, name)(file)
        _check_size(image.size, name, max_pixels)
        columns, rows = image.size
        is_turned = image.format != "TIFF" and _orientation(image) in (5, 6, 7, 8)
        return (columns, rows) if is_turned else (rows, columns)


@contextlib.contextmanager
def foreign(name: str) -> Iterator[None]:
    """A block that takes a foreign file apart; it fails with RequestError only.

    Decoders answer broken files with nearly every type of exception (struct.error,
    zlib.error, IndexError, MemoryError, ...) and with warnings. Filters of warnings
    and standard error belong to the whole process, hence the lock.
    """
    try:
        with _LOCK, _no_standard_error(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except RequestError:
        raise
    except MemoryError as error:
        raise RequestError(
            f"{name} needs more memory than there is; give a smaller picture"
        ) from error
    except Exception as error:
        raise RequestError(
            f"{name} is damaged or of a kind that cannot be read "
            f"({type(error).__name__}: {str(error)[:80]!r}); open it in an image "
            "editor and save it again"
        ) from error


@contextlib.contextmanager
def _no_standard_error() -> Iterator[None]:
    """Shuts file descriptor 2: Pillow's libtiff prints to it, past Python."""
    try:
        kept = os.dup(2)
    except OSError:  # it is shut already
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def opened(data: bytes, name: str) -> ImageFile.ImageFile:
    """The file as Pillow sees it: header read, pixels not."""
    return _plugin(data[:12], name)(io.BytesIO(data))


def _plugin(start: bytes, name: str) -> Callable[[BinaryIO], ImageFile.ImageFile]:
    """What reads a file with these first 12 bytes."""
    plugins = [plugin for magic, plugin in _PLUGINS.items() if start.startswith(magic)]
    if not plugins or (start[:4] == b"RIFF" and start[8:12] != b"WEBP"):
        raise RequestError(
            f"{name} is not a picture of a known format; give a JPEG, PNG, WebP, "
            "TIFF, BMP or GIF file"
        )
    return plugins[0]


def _check_size(size: tuple[int, int], name: str, max_pixels: int) -> None:
    width, height = size
    if min(size) < 2:
        raise RequestError(
            f"{name} is {width}x{height} px; give a picture with at least 2 px on "
            "each side"
        )
    if width * height > max_pixels:
        raise RequestError(
            f"{name} is {width}x{height} px, more than the {max_pixels} px allowed; "
            "shrink it or raise --max_pixels"
        )


def _narrow(image: ImageFile.ImageFile) -> tuple[Pixels, Alpha | None]:
    """What Pillow decodes without loss: 8 bits, and one channel of numbers."""
    image.load()
    pixels: Pixels
    alpha: Alpha | None = None
    if image.mode in ("I", "I;16", "I;16B", "F"):
        pixels = np.repeat(_numbers(image)[..., None], 3, axis=-1)
    else:
        # Only to "LA" and from there on does Pillow know how to divide.
        straight = image.convert("LA") if image.mode == "La" else image
        if straight.has_transparency_data:
            alpha = _unit(straight.convert("RGBA").getchannel("A"))
        pixels = _unit(
            profiles.to_srgb(_colour(straight), image.info.get("icc_profile"))
        )
    if isinstance(image, TiffImagePlugin.TiffImageFile):  # Pillow has turned it
        return pixels, alpha
    turn = _orientation(image)
    return upright(pixels, turn), None if alpha is None else upright(alpha, turn)


def _colour(image: Image.Image) -> Image.Image:
    """The picture without its opacity, in one of the modes `L RGB CMYK LAB`."""
    if image.mode in ("L", "RGB", "CMYK", "LAB"):
        return image
    if image.mode in ("1", "LA"):
        return image.convert("L")
    # Palettes with opacity go to RGB by way of RGBA: Pillow warns otherwise.
    return image.convert("RGBA").convert("RGB")


def _unit(image: Image.Image) -> Float32[np.ndarray, "h w *c"]:
    """8-bit samples as 0..1."""
    return np.asarray(image).astype(np.float32) / np.float32(255)


def _numbers(image: ImageFile.ImageFile) -> Alpha:
    """One channel of wide integers or of floats as 0..1; only TIFF has such."""
    values = np.asarray(image)
    if image.mode == "F":
        if not (np.isfinite(values).all() and values.max() <= 1.0):
            raise ValueError(f"floats must be from 0 to 1, found {values.max()}")
        return np.maximum(values, np.float32(0))
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
    bits = tags.get(_BITS, (16,))[0]
    if tags.get(_SAMPLE_FORMAT, (1,))[0] == 2:  # signed: its sign bit is no light
        bits -= 1
    elif bits == 32:  # Pillow has no unsigned mode
        values = values.view(np.uint32)
    return np.clip(values / (2.0**bits - 1), 0, 1).astype(np.float32)


def _is_wide(image: ImageFile.ImageFile) -> bool:
    """Whether it is grey or RGB of 16 bits, which Pillow would make 8.

    CMYK of 16 bits stays Pillow's: no gamut of ink has use for them.
    """
    if isinstance(image, PngImagePlugin.PngImageFile):
        return any(str(tile[3]).endswith(";16B") for tile in image.tile)
    if isinstance(image, TiffImagePlugin.TiffImageFile) and image.mode != "CMYK":
        tags = image.tag_v2
        kinds = set(tags.get(_SAMPLE_FORMAT, (1,)))
        return set(tags.get(_BITS, (1,))) == {16} and kinds == {1}
    return False


def _wide(image: ImageFile.ImageFile, data: bytes) -> tuple[Pixels, Alpha | None]:
    """A 16-bit PNG or TIFF, with every bit of it."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        samples, opacity = _wide_tiff(data, image)
        turn = image.tag_v2.get(_ORIENTATION)
    else:
        samples, opacity = _wide_png(data, image.size)
        turn = _orientation(image)
    colour = profiles.wide_to_srgb(samples, image.info.get("icc_profile"))
    pixels = colour.astype(np.float32) / np.float32(65535)
    if opacity is None:
        return upright(pixels, turn), None
    alpha = opacity.astype(np.float32) / np.float32(65535)
    return upright(pixels, turn), upright(alpha, turn)


_Wide = tuple[UInt16[np.ndarray, "h w c"], UInt16[np.ndarray, "h w"] | None]


def _wide_png(data: bytes, size: tuple[int, int]) -> _Wide:
    """Grey or RGB, and opacity, which libpng makes of a transparent colour too."""
    import imagecodecs  # only 16-bit files need it

    # libpng believes the first header, Pillow, whose size was checked, the last.
    if struct.unpack(">II", data[16:24]) != size:
        raise ValueError("a PNG with two headers")
    samples = np.atleast_3d(imagecodecs.png_decode(data))
    count = samples.shape[-1]
    if count % 2:
        return samples, None
    return samples[..., : count - 1], samples[..., -1]


def _wide_tiff(data: bytes, image: TiffImagePlugin.TiffImageFile) -> _Wide:
    """Grey or RGB, not multiplied by the opacity, and the opacity."""
    import imagecodecs

    tags = image.tag_v2
    height, width, depth = tags[_HEIGHT], tags[_WIDTH], tags.get(_SAMPLES, 1)
    planar = depth > 1 and tags.get(_PLANAR) == 2
    # libtiff reads the header anew; with `out` a file cannot tell it another size.
    shape = (depth, height, width) if planar else (height, width, depth)
    samples = np.empty(shape if depth > 1 else (height, width), np.uint16)
    imagecodecs.tiff_decode(data, out=samples)
    samples = np.moveaxis(samples, 0, -1) if planar else np.atleast_3d(samples)
    if tags.get(_PHOTOMETRIC) == 0:  # white is 0
        samples = 65535 - samples
    colour = samples[..., : 3 if image.mode in ("RGB", "RGBA") else 1]
    if image.mode != "RGBA":
        return colour, None
    opacity = samples[..., 3]
    if tags.get(_EXTRA, (2,))[0] == 1:  # multiplied by the opacity
        whole = np.maximum(opacity, 1)[..., None] / 65535
        colour = np.minimum(np.rint(colour / whole), 65535).astype(np.uint16)
    return colour, opacity


def _orientation(image: Image.Image) -> object:
    """EXIF's orientation, None where EXIF is missing or broken."""
    with contextlib.suppress(Exception):
        return image.getexif().get(_ORIENTATION)
    return None


def upright(
    samples: Float32[np.ndarray, "..."], orientation: object
) -> Float32[np.ndarray, "..."]:
    """The picture as it should be seen, by EXIF's orientation (1 to 8)."""
    turned = samples.swapaxes(0, 1) if orientation in (5, 6, 7, 8) else samples
    if orientation in (3, 4, 7, 8):
        turned = turned[::-1]
    if orientation in (2, 3, 6, 7):
        turned = turned[:, ::-1]
    return np.ascontiguousarray(turned)
