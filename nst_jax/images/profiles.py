"""ICC profiles: what makes a file's numbers sRGB, and the sRGB that is written.

Pillow's colour management knows 8 bits, imagecodecs' 16; both are Little CMS.
A profile that is broken, or made for another kind of picture, is ignored, as
every viewer does: the numbers are then taken for sRGB.
"""

import contextlib
import functools
import io

import numpy as np
from jaxtyping import UInt16
from PIL import Image, ImageCms

# Black of the picture to black of sRGB, colours that both have unchanged: what
# photographers' programs do.
_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION


@functools.cache
def srgb() -> bytes:
    """A small sRGB profile, the same bytes every time."""
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # Little CMS writes the time of making there; 2000-01-01 instead.
    return made[:24] + bytes((7, 208, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0)) + made[36:]


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """An `RGB` image from one of the modes `L RGB CMYK LAB`."""
    if profile is None:
        return image.convert("RGB")
    if image.mode == "L" and _is_for_rgb(profile):
        image = image.convert("RGB")
    # Not one type of exception: what fails is the parsing of foreign bytes. Little
    # CMS itself refuses a profile of another kind.
    with contextlib.suppress(Exception):
        converted = ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.ImageCmsProfile(io.BytesIO(srgb())),
            renderingIntent=_INTENT,
            outputMode="RGB",
            flags=_FLAGS,
        )
        if converted is not None:  # it is, when not asked to work in place
            return converted
    return image.convert("RGB")


def wide_to_srgb(
    samples: UInt16[np.ndarray, "h w c"], profile: bytes | None
) -> UInt16[np.ndarray, "h w 3"]:
    """The same for 16 bits: grey or RGB by the number of channels."""
    import imagecodecs  # only 16-bit files need it

    coloured = samples if samples.shape[-1] == 3 else np.repeat(samples, 3, axis=-1)
    if profile is None:
        return coloured
    is_grey = samples.shape[-1] == 1 and not _is_for_rgb(profile)
    with contextlib.suppress(Exception):
        return imagecodecs.cms_transform(
            np.ascontiguousarray(samples[..., 0] if is_grey else coloured),
            profile,
            srgb(),
            colorspace="gray" if is_grey else "rgb",
            outcolorspace="rgb",
            intent=int(_INTENT),
            # Optimised, its curves are off by 0.7 % in the shadows.
            flags=int(_FLAGS | ImageCms.Flags.NOOPTIMIZE),
        )
    return coloured


def _is_for_rgb(profile: bytes) -> bool:
    """Many a grey picture carries the profile of the program that made it grey."""
    return profile[16:20] == b"RGB "
