"""Which pictures go in, at which size, and where they count."""

import dataclasses
from typing import Literal

from nst_jax.errors import RequestError
from nst_jax.settings import check, setting

# First images that are named instead of given as a file.
FIRST_IMAGES = ("content", "noise", "blend", "style")


@dataclasses.dataclass(frozen=True, kw_only=True)
class InputConfig:
    """What goes in, and at which size."""

    content: str = setting(
        "",
        "Picture whose scene is kept (a photo). For a texture, --content_weight=0"
        " --init=noise, it may be left out: the first style has the shape.",
        file="read",
    )
    style: tuple[str, ...] = setting(
        (), "Picture whose style is taken, or several with commas between.", file="read"
    )
    size: int = setting(
        512, "Long side of the result in pixels; 0 keeps the content's own.", low=0
    )
    size_rule: Literal["long", "short", "width", "height", "area"] = setting(
        "long", "What --size measures; area is the side of a square as large."
    )
    size_rounding: Literal["nearest", "down"] = setting(
        "nearest", "How the side that follows from --size becomes a whole number."
    )
    enlarge: Literal["all", "content", "none"] = setting(
        "all", "Which pictures are enlarged if they are smaller than --size."
    )
    fit: Literal["keep", "crop", "stretch", "width"] = setting(
        "keep",
        "The style's shape. keep: its own aspect, sized as the content is; width: its"
        " own aspect, as wide as the content; crop: cut to the content's shape;"
        " stretch: squashed to it.",
    )
    style_scale: tuple[float, ...] = setting(
        (1.0,),
        "Size of the style against the content's: one for all or one each.",
        low=0.01,
        high=100,
    )
    filter: Literal["lanczos", "bicubic", "bilinear", "box", "nearest", "area"] = (
        setting("lanczos", "Resampling filter for every change of size.")
    )
    antialias: bool = setting(
        True, "Widen the filter when shrinking (off: as tf.image.resize does)."
    )
    resize_depth: Literal["float", "8"] = setting(
        "float",
        "float: a resized picture keeps its fractions; 8: it is rounded to 8 bits, as"
        " by programs that resize 8-bit pictures.",
    )
    init: str = setting(
        "content",
        "First image: content, noise, blend, style, or a picture's path.",
        file="read",
        words=FIRST_IMAGES,
    )
    noise: Literal["uniform", "normal", "style"] = setting(
        "uniform",
        "How noise is spread: evenly between limits, as a bell curve, or as one with"
        " the style's mean colour and covariance, in each region those of its styles.",
    )
    noise_amplitude: float = setting(
        20 / 255,
        "Half width of uniform noise, deviation of normal noise, about the network's"
        " mean colour (image 0..1); --noise=style has the style's own.",
        low=0,
        high=1,
    )
    noise_ratio: float = setting(
        0.6, "Share of noise in --init=blend; the rest is the content.", low=0, high=1
    )
    seed: int = setting(0, "Seed of everything random.", low=0, high=2**32 - 1)
    max_pixels: int = setting(
        200_000_000,
        "Largest picture that is opened, in pixels.",
        low=1,
        stored="beside",
    )

    def __post_init__(self) -> None:
        check(self)
        counts = {1, max(1, len(self.style))}
        if len(self.style_scale) not in counts:
            raise RequestError(
                f"--style_scale must have one value, or one for each of the "
                f"{len(self.style)} styles, got {len(self.style_scale)}"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ControlConfig:
    """Where the style goes, and which colours the result has."""

    content_mask: tuple[str, ...] = setting(
        (),
        "Regions of the content: one picture whose colours label up to 8 of them, or"
        " a soft mask for each.",
        file="read",
    )
    style_mask: tuple[str, ...] = setting(
        (),
        "Regions of the style, in the same colours or the same order; with several"
        " styles a picture of labels for each. Without it every region takes the whole"
        " style, or its own of as many styles, from the darkest label to the lightest.",
        file="read",
    )
    region_weights: tuple[float, ...] = setting(
        (1.0,), "Weight of the style in each region; 0 leaves it as it is.", low=0
    )
    protect: str = setting(
        "", "Mask of what must stay recognisable, such as faces.", file="read"
    )
    protect_weight: float = setting(
        20.0, "How much more the content weighs inside --protect.", low=1
    )
    fill: str = setting(
        "",
        "Mask of what is repainted; pixels outside stay exactly as they are. A style"
        " that is the content's own file is looked at outside only.",
        file="read",
    )
    color: Literal[
        "none",
        "luminance",
        "histogram",
        "linear-cholesky",
        "linear-symmetric",
        "linear-pca",
    ] = setting(
        "none",
        "Keep the content's colours: transfer brightness only (luminance), or give"
        " them to the style (before) or the result (after) by histograms or a linear"
        " map.",
    )
    color_when: Literal["before", "after"] = setting("before", "See --color.")
    wrap: Literal["none", "x", "y", "xy"] = setting(
        "none",
        "Directions in which the result tiles without a seam; its size in them becomes"
        " a multiple of the deepest layer's stride, 16 for relu5_1.",
    )

    def __post_init__(self) -> None:
        check(self)
        if self.content_mask and not sum(self.region_weights) > 0:
            raise RequestError(
                f"--region_weights must have a positive sum, got {self.region_weights}"
            )
        if self.style_mask and not self.content_mask:
            raise RequestError(
                "--style_mask needs --content_mask, which says where its regions go"
            )
