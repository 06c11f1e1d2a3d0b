"""The objective of every preset as its paper or program states it, in float64.

Written from the published forms: with their own sums, halves, quarters, divisions,
layer counts and pixel ranges. Never from the settings in nst_jax/presets, which are
what is held against it, and never from nst_jax, which is not imported here.

`TERMS[preset](look, content, style, image)` gives the weighted terms at an image, by
the names of the program's metrics. Pictures are `h w 3` in 0..1; `look` is a `Look`.
Programs that take pixels as blue, green, red turn their first kernel with them, so
that order changes nothing here.
"""

from typing import NamedTuple

import numpy as np

from tests import oracles

# The mean colour of the pictures VGG was trained on, red first, in 0..255.
CAFFE = (123.68, 116.779, 103.939)
# torchvision's, in 0..1, and its deviations.
TORCH_MEAN, TORCH_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

FIVE = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


class Way(NamedTuple):
    """How a program looks at a picture."""

    scale: float = 255.0
    mean: tuple = CAFFE
    std: tuple = (1.0, 1.0, 1.0)
    pooling: str = "max"
    rounding: str = "floor"
    border: str = "zero"


class Look:
    """A network's features, each picture looked at once in each way."""

    def __init__(self, params):
        self.seen = {}
        self.params = {
            name: {part: np.float64(array) for part, array in layer.items()}
            for name, layer in params.items()
        }

    def __call__(self, image, way):
        key = (way, image.shape, image.tobytes())
        if key not in self.seen:
            self.seen[key] = oracles.network_features(
                self.params,
                image,
                (way.scale, way.mean, way.std),
                last="relu5_2",
                pooling=way.pooling,
                rounding=way.rounding,
                border=way.border,
            )
        return self.seen[key]

    def all(self, way, *images):
        return [self(image, way) for image in images]


class Terms(NamedTuple):
    content: dict
    style: dict
    tv: float = 0.0

    @property
    def total(self):
        return sum(self.content.values()) + sum(self.style.values()) + self.tv


def rows(features):
    """F as the papers have it: a row for each filter, a column for each position."""
    return features.reshape(-1, features.shape[-1]).T


def mean_square(a, b):
    return np.mean((a - b) ** 2)


def gatys2016(look, content, style, image):
    """Equations 1, 4, 5 and 7; alpha / beta = 1e-3."""
    way = Way(pooling="avg", rounding="ceil")
    p, a, f = look.all(way, content, style, image)
    alpha, beta, w = 1, 1e3, 1 / 5
    found = {}
    for name in ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"):
        n, m = rows(f[name]).shape
        g, target = (rows(x[name]) @ rows(x[name]).T for x in (f, a))
        found[name] = beta * w * np.sum((g - target) ** 2) / (4 * n**2 * m**2)
    half = np.sum((f["conv4_2"] - p["conv4_2"]) ** 2) / 2
    return Terms({"conv4_2": alpha * half}, found)


def gatys_code(look, content, style, image):
    """GramMatrix over h * w, nn.MSELoss, 1e3 / n^2."""
    p, a, f = look.all(Way(), content, style, image)
    found = {}
    for name, n in zip(FIVE, (64, 128, 256, 512, 512), strict=True):
        g, target = (rows(x[name]) @ rows(x[name]).T for x in (f, a))
        g = g / rows(f[name]).shape[1]
        target = target / rows(a[name]).shape[1]
        found[name] = 1e3 / n**2 * mean_square(g, target)
    return Terms({"relu4_2": mean_square(f["relu4_2"], p["relu4_2"])}, found)


def _jcjohnson(look, way, content, style, image):
    """Both programs of that line: 5 and 100, Gram matrices over c * h * w."""
    p, a, f = look.all(way, content, style, image)
    found = {}
    for name in FIVE:
        g, target = (rows(x[name]) @ rows(x[name]).T / x[name].size for x in (f, a))
        found[name] = 100 * mean_square(g, target)
    return {"relu4_2": 5 * mean_square(f["relu4_2"], p["relu4_2"])}, found


def neural_style(look, content, style, image):
    """Pixels times 256; loadcaffe's pools round up; the variation is a gradient.

    TVLoss adds, for pixels that have both neighbours, x - right + x - below to the
    gradient, and the negatives to the neighbours': that of half the sum of squares.
    """
    way = Way(scale=256.0, rounding="ceil")
    both = _jcjohnson(look, way, content, style, image)
    x = 256 * np.asarray(image, np.float64)
    inner = x[:-1, :-1]
    squares = (inner - x[:-1, 1:]) ** 2 + (inner - x[1:, :-1]) ** 2
    return Terms(*both, 1e-3 * np.sum(squares) / 2)


def neural_style_pt(look, content, style, image):
    """Pixels times 255; torch drops odd rows; the variation is absolute."""
    both = _jcjohnson(look, Way(), content, style, image)
    return Terms(*both, 1e-3 * _absolute(255 * np.asarray(image, np.float64)))


def _absolute(x):
    """tf.image.total_variation: the sum of absolute differences of neighbours."""
    return np.sum(np.abs(np.diff(x, axis=0))) + np.sum(np.abs(np.diff(x, axis=1)))


_CROWSON = Way(scale=1.0, mean=TORCH_MEAN, std=TORCH_STD, border="replicate")


def crowsonkb(look, content, style, image):
    """Squared Wasserstein-2 distances, their mean over channels.

    With the program's own roots, which stop after twelve iterations. Eigenvalues below
    1e-4 of the matrix's norm have not arrived by then, so that these distances are up
    to a tenth larger than exact ones.
    """
    p, a, f = look.all(_CROWSON, content, style, image)
    found = {}
    for name, weight in zip(FIVE, (256, 64, 16, 4, 1), strict=True):
        mu, cov = _statistics(f[name])
        mu_hat, cov_hat = _statistics(a[name])
        root = newton_schulz(cov_hat)
        middle = newton_schulz(root @ cov @ root)
        spread = np.mean(np.diagonal(cov_hat + cov - 2 * middle))
        found[name] = weight / 341 * (mean_square(mu, mu_hat) + spread)
    kept = 0.015 * mean_square(f["relu4_2"], p["relu4_2"])
    return Terms({"relu4_2": kept}, found, 2 * _nine_point(image))


def newton_schulz(matrix, iterations=12):
    """An approximate square root: Higham, Functions of Matrices (2008), eq. 6.35."""
    norm = np.linalg.norm(matrix)
    y, z = matrix / norm, np.eye(len(matrix))
    for _ in range(iterations):
        t = (3 * np.eye(len(matrix)) - z @ y) / 2
        y, z = y @ t, t @ z
    return y * np.sqrt(norm)


def _statistics(features):
    x = rows(features)
    mu = x.mean(1)
    second = x @ x.T / x.shape[1]
    return mu, second - np.outer(mu, mu) + 1e-4 * np.eye(len(mu))


def _nine_point(image):
    x = np.pad(np.asarray(image, np.float64), ((1, 1), (1, 1), (0, 0)), "edge")
    across = x[1:-1, 2:] - x[1:-1, 1:-1]
    down = x[2:, 1:-1] - x[1:-1, 1:-1]
    falling, rising = x[1:, 1:] - x[:-1, :-1], x[1:, :-1] - x[:-1, 1:]
    axes = (np.mean(across**2) + np.mean(down**2)) / 3
    return 2 * (axes + (np.mean(falling**2) + np.mean(rising**2)) / 12)


def crowsonkb_2021(look, content, style, image):
    """ScaledMSELoss: squares over absolute differences. The border is repeated once."""

    def scaled(x, target):
        d = x - target
        return np.sum(d**2) / (np.sum(np.abs(d)) + 1e-8)

    p, a, f = look.all(_CROWSON, content, style, image)
    found = {}
    for name, weight in zip(FIVE, (256, 64, 16, 4, 1), strict=True):
        g, target = (
            rows(x[name]) @ rows(x[name]).T / rows(x[name]).shape[1] for x in (f, a)
        )
        found[name] = weight / 341 * scaled(g, target)
    x = np.pad(np.asarray(image, np.float64), ((0, 1), (0, 1), (0, 0)), "edge")
    across, down = x[:-1, 1:] - x[:-1, :-1], x[1:, :-1] - x[:-1, :-1]
    kept = 0.015 * scaled(f["relu4_2"], p["relu4_2"])
    return Terms({"relu4_2": kept}, found, 2 * np.mean(across**2 + down**2))


def cysmith(look, content, style, image):
    """K = 1 / (2 sqrt(N) sqrt(M)); the paper's style loss, then over five layers."""
    way = Way(pooling="avg", rounding="same")
    p, a, f = look.all(way, content, style, image)
    n, m = rows(f["conv4_2"]).shape
    k = 1 / (2 * n**0.5 * m**0.5)
    kept = 5 * k * np.sum((f["conv4_2"] - p["conv4_2"]) ** 2)
    found = {}
    for name in FIVE:
        n, m = rows(f[name]).shape
        g, target = (rows(x[name]) @ rows(x[name]).T for x in (f, a))
        loss = np.sum((g - target) ** 2) / (4 * n**2 * m**2)
        found[name] = 1e4 * 0.2 * loss / 5
    variation = 1e-3 * _absolute(255 * np.asarray(image, np.float64))
    return Terms({"conv4_2": kept}, found, variation)


def anishathalye(look, content, style, image):
    """tf.nn.l2_loss is half a sum: twice of it over the size is the mean.

    vgg.py exchanges the rows and columns of every kernel, which is to look at pictures
    turned about their diagonal.
    """

    def l2_loss(d):
        return np.sum(d**2) / 2

    turned = (x.swapaxes(0, 1) for x in (content, style, image))
    p, a, f = look.all(Way(rounding="same"), *turned)
    d = f["relu4_2"] - p["relu4_2"]
    kept = 5 * 2 * l2_loss(d) / p["relu4_2"].size
    found = {}
    for name in FIVE:
        g, target = (rows(x[name]) @ rows(x[name]).T / x[name].size for x in (f, a))
        found[name] = 500 * 0.2 * 2 * l2_loss(g - target) / target.size
    x = 255 * np.asarray(image, np.float64)
    down, across = x[1:] - x[:-1], x[:, 1:] - x[:, :-1]
    parts = l2_loss(down) / x[1:].size + l2_loss(across) / x[:, 1:].size
    return Terms({"relu4_2": kept}, found, 100 * 2 * parts)


def _tensorflow(look, content, style, image):
    """einsum over h * w, reduce_mean of squares, 1e4 / 1 and 1e-2 / 5."""
    p, a, f = look.all(Way(), content, style, image)
    found = {}
    for name in FIVE:
        g, target = (
            np.einsum("ijc,ijd->cd", x[name], x[name], optimize=True)
            / (x[name].shape[0] * x[name].shape[1])
            for x in (f, a)
        )
        found[name] = 1e-2 / 5 * mean_square(g, target)
    return {"relu5_2": 1e4 / 1 * mean_square(f["relu5_2"], p["relu5_2"])}, found


def tensorflow_tutorial(look, content, style, image):
    """With tf.image.total_variation of the image in 0..1."""
    both = _tensorflow(look, content, style, image)
    return Terms(*both, 30 * _absolute(np.asarray(image, np.float64)))


def optimizer_study(look, content, style, image):
    """The tutorial's code without its variation."""
    return Terms(*_tensorflow(look, content, style, image))


def keras_example(look, content, style, image):
    """channels = 3 and size = img_nrows * img_ncols, whatever the layer."""
    p, a, f = look.all(Way(), content, style, image)
    channels, size = 3, image.shape[0] * image.shape[1]
    found = {}
    for name in FIVE:
        s, c = (rows(x[name]) @ rows(x[name]).T for x in (a, f))
        loss = np.sum((s - c) ** 2) / (4.0 * channels**2 * size**2)
        found[name] = 1e-6 / 5 * loss
    kept = 2.5e-8 * np.sum((f["relu5_2"] - p["relu5_2"]) ** 2)
    x = 255 * np.asarray(image, np.float64)
    down = (x[:-1, :-1] - x[1:, :-1]) ** 2
    across = (x[:-1, :-1] - x[:-1, 1:]) ** 2
    return Terms({"relu5_2": kept}, found, 1e-6 * np.sum((down + across) ** 1.25))


def pytorch_tutorial(look, content, style, image):
    """conv_1 to conv_5 and conv_4, before the ReLU; gram over a * b * c * d."""
    way = Way(scale=1.0, mean=TORCH_MEAN, std=TORCH_STD)
    p, a, f = look.all(way, content, style, image)
    found = {}
    for name in ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1"):
        g, target = (rows(x[name]) @ rows(x[name]).T / x[name].size for x in (f, a))
        found[name] = 1000000 * mean_square(g, target)
    return Terms({"conv2_2": 1 * mean_square(f["conv2_2"], p["conv2_2"])}, found)


def coursera(look, content, style, image):
    """Quarters: 1 / (4 h w c), and 1 / (4 c^2 (h w)^2) with undivided Gram matrices."""
    p, a, f = look.all(Way(pooling="avg", rounding="same"), content, style, image)
    h, w, c = f["relu4_2"].shape
    kept = np.sum((p["relu4_2"] - f["relu4_2"]) ** 2) / (4 * h * w * c)
    found = {}
    for name in FIVE:
        h, w, c = f[name].shape
        gs, gg = (rows(x[name]) @ rows(x[name]).T for x in (a, f))
        loss = np.sum((gs - gg) ** 2) / (4 * c**2 * (h * w) ** 2)
        found[name] = 40 * 0.2 * loss
    return Terms({"relu4_2": 10 * kept}, found)


def cs229(look, content, style, image, masks=None, style_masks=None):
    """Sums of squares; Gram matrices over h * w, or over each region's own size.

    Its alpha, beta and gamma are open: 1e-5, 1e-5 and 0.01 are the project's.
    """
    p, a, f = look.all(Way(rounding="same"), content, style, image)
    masks = masks or {name: np.ones((*f[name].shape[:2], 1)) for name in FIVE}
    style_masks = style_masks or {
        name: np.ones((*a[name].shape[:2], 1)) for name in FIVE
    }
    found = {}
    for name in FIVE:
        regions = masks[name].shape[-1]
        loss = 0.0
        for k in range(regions):
            g, target = (
                rows(x[name] * mask[name][..., k, None])
                @ rows(x[name]).T
                / mask[name][..., k].sum()
                for x, mask in ((f, masks), (a, style_masks))
            )
            loss += np.sum((g - target) ** 2)
        found[name] = 1e-5 / regions * loss
    kept = 1e-5 * np.sum((f["relu4_2"] - p["relu4_2"]) ** 2)
    variation = 1e-2 * _absolute(255 * np.asarray(image, np.float64))
    return Terms({"relu4_2": kept}, found, variation)


def default(look, content, style, image):
    """The project's own, as docs/presets.md states it: means instead of sums."""
    way = Way(pooling="avg", border="replicate")
    p, a, f = look.all(way, content, style, image)
    found = {}
    for name in FIVE:
        g, target = (rows(x[name]) @ rows(x[name]).T / x[name].size for x in (f, a))
        found[name] = 30 * mean_square(g, target)
    x = 255 * np.asarray(image, np.float64)
    steps = mean_square(x[1:], x[:-1]) + mean_square(x[:, 1:], x[:, :-1])
    kept = mean_square(f["relu4_2"], p["relu4_2"])
    return Terms({"relu4_2": kept}, found, 15 * steps)


TERMS = {
    "anishathalye": anishathalye,
    "coursera": coursera,
    "crowsonkb": crowsonkb,
    "crowsonkb-2021": crowsonkb_2021,
    "cs229": cs229,
    "cysmith": cysmith,
    "default": default,
    "gatys-code": gatys_code,
    "gatys2016": gatys2016,
    "keras-example": keras_example,
    "neural-style": neural_style,
    "neural-style-pt": neural_style_pt,
    "optimizer-study": optimizer_study,
    "pytorch-tutorial": pytorch_tutorial,
    "tensorflow-tutorial": tensorflow_tutorial,
}
