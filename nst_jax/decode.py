"""Bytes of an image file to float32 sRGB arrays: the reading half of `images`.

The first bytes decide the format, never the file's name. Pillow's plugins are
called one by one instead of through `Image.open`: what is not in the table is
not tried, and the limit on pixels is the caller's, not Pillow's global one.
Pillow cuts 16-bit colour down to 8 bits, so imagecodecs (libpng, libtiff, lcms)
reads every 16-bit file.
"""

import contextlib
import io
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np
from jaxtyping import Float32, Shaped
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageCms,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from nst_jax.errors import RequestError

Pixels = Float32[np.ndarray, "h w 3"]
Alpha = Float32[np.ndarray, "h w"]
Decoded = tuple[Pixels, Alpha | None]

ORIENTATION = 0x0112
_BITS, _PHOTOMETRIC, _EXTRA, _SIGN = 258, 262, 338, 339  # TIFF's tags

_PLUGINS: dict[bytes, Callable[[BinaryIO], ImageFile.ImageFile]] = {
    b"\xff\xd8\xff": JpegImagePlugin.JpegImageFile,
    b"\x89PNG\r\n\x1a\n": PngImagePlugin.PngImageFile,
    b"II*\0": TiffImagePlugin.TiffImageFile,
    b"MM\0*": TiffImagePlugin.TiffImageFile,
    b"II+\0": TiffImagePlugin.TiffImageFile,
    b"MM\0+": TiffImagePlugin.TiffImageFile,
    b"GIF87a": GifImagePlugin.GifImageFile,
    b"GIF89a": GifImagePlugin.GifImageFile,
    b"BM": BmpImagePlugin.BmpImageFile,
    b"RIFF": WebPImagePlugin.WebPImageFile,
}
_PILLOW = threading.Lock()


def decode(file: BinaryIO, name: str, max_pixels: int) -> Decoded:
    """Colour and transparency (None where there is none) of an opened file.

    Args:
        file: at its beginning, opened for reading bytes.
        name: how messages call the file.
        max_pixels: larger pictures are refused before they are decoded.
    """
    with foreign(name):
        image = open_image(file, name)
        width, height = image.size
        if min(width, height) < 2:
            raise RequestError(
                f"{name} is {width}x{height} px; give a picture with at least 2 px "
                "on each side"
            )
        if width * height > max_pixels:
            raise RequestError(
                f"{name} is {width}x{height} px, which is more than the "
                f"{max_pixels} px allowed; shrink it or raise --max_pixels"
            )
        pixels, alpha = _deep(image, file) if _is_deep(image) else _shallow(image)
    if alpha is not None and alpha.min() == 1.0:
        alpha = None
    return pixels, alpha


@contextlib.contextmanager
def foreign(name: str) -> Iterator[None]:
    """A block in which a foreign file is taken apart: it fails in one way only.

    Decoders answer broken files with nearly every type of exception (struct.error,
    zlib.error, IndexError, MemoryError, ...), and with warnings. The filters of
    `warnings` are the process's, hence the lock.
    """
    try:
        with _PILLOW, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except RequestError:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__} {error}".split())
        raise RequestError(
            f"{name} is damaged or of a kind that cannot be read "
            f"({reason[:100]!r}); open it in an image editor and save it again"
        ) from error


def open_image(file: BinaryIO, name: str) -> ImageFile.ImageFile:
    """The file as Pillow sees it, header read, pixels not."""
    head = file.read(16)
    file.seek(0)
    plugins = [make for magic, make in _PLUGINS.items() if head.startswith(magic)]
    if not plugins or (head[:4] == b"RIFF" and head[8:12] != b"WEBP"):
        raise RequestError(
            f"{name} is not a picture in a known format; give a JPEG, PNG, WebP, "
            "TIFF, BMP or GIF file"
        )
    return plugins[0](file)


def _is_deep(image: ImageFile.ImageFile) -> bool:
    """Whether samples are unsigned 16-bit integers."""
    if isinstance(image, PngImagePlugin.PngImageFile):
        return any(";16" in str(tile[3]) for tile in image.tile)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        tags = image.tag_v2
        return set(tags.get(_BITS, (1,))) == {16} and set(tags.get(_SIGN, (1,))) == {1}
    return False


def _shallow(image: ImageFile.ImageFile) -> Decoded:
    """What Pillow decodes without loss: 8 bits, and single channels of numbers."""
    image.load()
    alpha = None
    if image.mode in ("I", "I;16", "I;16B", "F"):
        pixels = np.repeat(_numbers(image)[..., None], 3, axis=-1)
    else:
        straight = image.convert("LA") if image.mode == "La" else image
        if straight.has_transparency_data:
            alpha = _unit(straight.convert("RGBA").getchannel("A"))
        pixels = _unit(_srgb(straight, image.info.get("icc_profile")))
    # Pillow has turned a TIFF already.
    turned = isinstance(image, TiffImagePlugin.TiffImageFile)
    orientation = 1 if turned else image.getexif().get(ORIENTATION, 1)
    return _orient(pixels, orientation), alpha if alpha is None else _orient(
        alpha, orientation
    )


def _unit(image: Image.Image) -> Float32[np.ndarray, "..."]:
    """8-bit samples as 0..1."""
    return np.asarray(image).astype(np.float32) / np.float32(255)


def _numbers(image: Image.Image) -> Alpha:
    """One channel of wide integers or floats, as TIFF has them, as 0..1."""
    values = np.asarray(image)
    if image.mode == "F":
        if not (np.isfinite(values).all() and values.max() <= 1 + 1e-3):
            raise RequestError(
                f"floating-point samples must be numbers from 0 to 1, found up to "
                f"{values.max()}; save the picture with 8 or 16 bits"
            )
        return np.clip(values, 0, 1, dtype=np.float32)
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
    bits = tags.get(_BITS, (16,))[0]
    if tags.get(_SIGN, (1,))[0] == 2:
        bits -= 1
    elif bits == 32:
        values = values.view(np.uint32)
    return np.clip(values / (2.0**bits - 1), 0, 1).astype(np.float32)


def _srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Colours as sRGB; a profile that is broken or of another kind is ignored."""
    if image.mode not in ("1", "L", "LA", "CMYK", "LAB"):
        image = image.convert("RGBA").convert("RGB")
    elif image.mode in ("1", "LA"):
        image = image.convert("L")
    if profile:
        with contextlib.suppress(Exception):
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            space = source.profile.xcolor_space.strip()
            if space == "RGB" and image.mode == "L":
                image = image.convert("RGB")
            if space == _SPACES.get(image.mode):
                image = ImageCms.profileToProfile(
                    image,
                    source,
                    ImageCms.createProfile("sRGB"),
                    renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
                    outputMode="RGB",
                    flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
                )
    return image.convert("RGB")


_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK", "LAB": "Lab"}


def _deep(image: ImageFile.ImageFile, file: BinaryIO) -> Decoded:
    """A 16-bit PNG or TIFF, every bit of it."""
    import imagecodecs

    file.seek(0)
    data = file.read()
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        samples = imagecodecs.tiff_decode(data)
        orientation = image.tag_v2.get(ORIENTATION, 1)
        inverted = image.tag_v2.get(_PHOTOMETRIC) == 0
        premultiplied = image.tag_v2.get(_EXTRA, (0,))[0] == 1
    else:
        samples = imagecodecs.png_decode(data)
        orientation = image.getexif().get(ORIENTATION, 1)
        inverted = premultiplied = False
    raise NotImplementedError((samples, orientation, inverted, premultiplied))


def _orient(
    samples: Shaped[np.ndarray, "..."], orientation: object
) -> Shaped[np.ndarray, "..."]:
    """The picture upright, as EXIF's tag 0x0112 (1 to 8) tells."""
    match orientation:
        case 2:
            samples = samples[:, ::-1]
        case 3:
            samples = samples[::-1, ::-1]
        case 4:
            samples = samples[::-1]
        case 5:
            samples = samples.swapaxes(0, 1)
        case 6:
            samples = samples[::-1].swapaxes(0, 1)
        case 7:
            samples = samples[::-1, ::-1].swapaxes(0, 1)
        case 8:
            samples = samples[:, ::-1].swapaxes(0, 1)
    return np.ascontiguousarray(samples)
