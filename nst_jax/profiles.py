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
_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK", "LAB": "Lab"}


@functools.cache
def srgb() -> bytes:
    """A small sRGB profile, the same bytes every time."""
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # Little CMS writes the time of making there; 2000-01-01 instead.
    return made[:24] + bytes((7, 208, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0)) + made[36:]


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """An `RGB` image from one of the modes `L RGB CMYK LAB`."""
    if profile:
        # Not one type of exception: what fails is the parsing of foreign bytes.
        with contextlib.suppress(Exception):
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            space = source.profile.xcolor_space.strip()
            if (image.mode, space) == ("L", "RGB"):
                image = image.convert("RGB")
            if _SPACES[image.mode] == space:
                return _converted(image, source)
    return image.convert("RGB")


def _converted(image: Image.Image, source: ImageCms.ImageCmsProfile) -> Image.Image:
    converted = ImageCms.profileToProfile(
        image,
        source,
        ImageCms.ImageCmsProfile(io.BytesIO(srgb())),
        renderingIntent=_INTENT,
        outputMode="RGB",
        flags=_FLAGS,
    )
    if converted is None:
        raise ValueError("only a conversion in place returns nothing")
    return converted


def wide_to_srgb(
    samples: UInt16[np.ndarray, "h w c"], profile: bytes | None
) -> UInt16[np.ndarray, "h w 3"]:
    """The same for 16 bits: grey or RGB by the number of channels."""
    import imagecodecs  # only 16-bit files need it

    space = "gray" if samples.shape[-1] == 1 else "rgb"
    if profile:
        with contextlib.suppress(Exception):
            # lcms would read past the samples of a picture of another kind.
            described = profile[16:20].decode("ascii").strip().lower()
            if (space, described) == ("gray", "rgb"):
                samples, space = np.repeat(samples, 3, axis=-1), "rgb"
            if space == described:
                return imagecodecs.cms_transform(
                    np.ascontiguousarray(
                        samples[..., 0] if space == "gray" else samples
                    ),
                    profile,
                    srgb(),
                    colorspace=space,
                    outcolorspace="rgb",
                    intent=int(_INTENT),
                    # Optimised, its curves are off by 0.7 % in the shadows.
                    flags=int(_FLAGS | ImageCms.Flags.NOOPTIMIZE),
                )
    return samples if space == "rgb" else np.repeat(samples, 3, axis=-1)
