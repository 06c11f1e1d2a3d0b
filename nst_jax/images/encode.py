"""Arrays to the bytes of an image file: the writing half of `images`.

The settings of a run travel in the file as text: PNG has a chunk for it, JPEG
and WebP take EXIF's UserComment, TIFF its ImageDescription; BMP has no place.
The same arguments always give the same bytes.
"""

import io
import struct
import zlib

import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import Image, ImageFile, PngImagePlugin, TiffImagePlugin

from nst_jax.images import profiles

Samples = UInt8[np.ndarray, "h w c"] | UInt16[np.ndarray, "h w c"]

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
}
WIDE = ("PNG", "TIFF")  # formats that take 16 bits
TRANSPARENT = ("PNG", "WEBP", "TIFF")
LONGEST_SIDE = {"JPEG": 65500, "WEBP": 16383}  # limits of the formats
# EXIF in a JPEG has to fit in 64 KiB; one limit for all formats is simpler.
SETTINGS_LIMIT = 60_000

_KEYWORD = "nst_jax settings"
_MARK = f"{_KEYWORD}\n".encode()  # tells our text from a camera's
_EXIF_IFD, _USER_COMMENT, _DESCRIPTION = 0x8769, 0x9286, 270


def encode(samples: Samples, form: str, quality: int, settings: str | None) -> bytes:
    """The file's bytes; `form` is one of the values of `FORMATS`.

    Args:
        samples: 3 channels, or 4 for formats in `TRANSPARENT`.
        form: the format.
        quality: 1 to 100 for JPEG (at 90 and more colour is not subsampled) and
            WebP (100 is lossless).
        settings: what `settings_in` gives back.
    """
    text = (settings or "").encode()
    if len(text) > SETTINGS_LIMIT:
        text = b""
    match form:
        case "PNG":
            return _png(samples, text)
        case "TIFF":
            return _tiff(samples, text)
        case "JPEG":
            full = 0 if quality >= 90 else 2
            return _pillow(samples, form, text, quality=quality, subsampling=full)
        case "WEBP":
            whole = quality == 100  # `exact` keeps the colour of transparent pixels
            return _pillow(
                samples, form, text, quality=quality, lossless=whole, exact=True
            )
        case _:
            return _pillow(samples, form, b"")


def settings_in(image: ImageFile.ImageFile) -> str | None:
    """The settings that `encode` put into a file, None where it did not."""
    if isinstance(image, PngImagePlugin.PngImageFile):
        text = image.info.get(_KEYWORD)
        return str(text) if text is not None else None
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # Pillow takes the bytes for Latin-1; they are UTF-8.
        data = str(image.tag_v2.get(_DESCRIPTION, "")).encode("latin-1", "replace")
    else:
        comment = image.getexif().get_ifd(_EXIF_IFD).get(_USER_COMMENT, b"")
        data = comment[8:] if isinstance(comment, bytes) else b""
    return data.removeprefix(_MARK).decode() if data.startswith(_MARK) else None


def _pillow(samples: Samples, form: str, text: bytes, **options: int) -> bytes:
    exif = Image.Exif()
    if text:
        # The first 8 bytes name the encoding; there is none for UTF-8.
        code = b"ASCII\0\0\0" if text.isascii() else bytes(8)
        exif[_EXIF_IFD] = {_USER_COMMENT: code + _MARK + text}
    stream = io.BytesIO()
    Image.fromarray(samples).save(
        stream,
        form,
        icc_profile=profiles.srgb(),
        exif=exif.tobytes() if text else b"",
        **options,
    )
    return stream.getvalue()


def _png(samples: Samples, text: bytes) -> bytes:
    """The pixels from a codec; profile and text put in after the header."""
    if samples.dtype == np.uint16:
        import imagecodecs  # only 16-bit files need it

        data = bytes(imagecodecs.png_encode(samples))
    else:
        stream = io.BytesIO()
        Image.fromarray(samples).save(stream, "PNG")
        data = stream.getvalue()
    profile = b"sRGB\0\0" + zlib.compress(profiles.srgb())
    extra = _chunk(b"iCCP", profile)
    if text:
        # Keyword; compressed, by zlib; no language, no translated keyword.
        head = _KEYWORD.encode() + b"\0\1\0\0\0"
        extra += _chunk(b"iTXt", head + zlib.compress(text))
    after_header = 33  # the signature and IHDR
    return data[:after_header] + extra + data[after_header:]


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def _tiff(samples: Samples, text: bytes) -> bytes:
    """Both depths by imagecodecs: Pillow would write the text as ASCII."""
    import imagecodecs

    data = imagecodecs.tiff_encode(
        samples,
        photometric="rgb",
        extrasample=2 if samples.shape[-1] == 4 else None,  # straight opacity
        compression="deflate",
        predictor=2,
        iccprofile=profiles.srgb(),
        # Its types say str, which it would take as ASCII; bytes go in as they are.
        description=_MARK + text if text else None,  # type: ignore[arg-type]
    )
    return bytes(data)
