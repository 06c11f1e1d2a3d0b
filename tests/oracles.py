"""The formulas in float64 NumPy, slow and plain: what the program is held against.

Written from the papers and the programs' documents, never from nst_jax, which is
not imported here (nor is JAX). Arrays are `h w c`. The papers' letters: F the
features of the image, P those of the content, G and A Gram matrices, N channels,
M positions, x the image.
"""

import math

import numpy as np

# --- the network: Simonyan and Zisserman (2015), table 1 ------------------------

# Columns D and E, read downwards: the channels of each 3x3 convolution, "M" a pool.
CONFIGURATIONS = {
    "vgg16": "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
    "vgg19": "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
}


def network_layers(network):
    """The names of all layers, from the image upwards, each with its channels."""
    rows, block, index = [], 1, 1
    for word in CONFIGURATIONS[network].split():
        if word == "M":
            rows.append((f"pool{block}", rows[-1][1]))
            block, index = block + 1, 1
        else:
            rows.append((f"conv{block}_{index}", int(word)))
            rows.append((f"relu{block}_{index}", int(word)))
            index += 1
    return rows


def convolution(features, kernel, bias, border="zero"):
    """Nine shifted copies of the bordered input, each times its part of the kernel.

    out[i, j, d] = bias[d] + sum over u, v, c of in[i+u-1, j+v-1, c] kernel[u, v, c, d]
    """
    features, kernel = np.asarray(features, np.float64), np.asarray(kernel, np.float64)
    height, width, channels = features.shape
    mode = {"zero": "constant", "replicate": "edge"}[border]
    bordered = np.pad(features, ((1, 1), (1, 1), (0, 0)), mode)
    rows = np.zeros((height * width, kernel.shape[-1]))
    for u in range(3):
        for v in range(3):
            shifted = bordered[u : u + height, v : v + width]
            rows += shifted.reshape(-1, channels) @ kernel[u, v]
    return rows.reshape(height, width, -1) + np.asarray(bias, np.float64)


def convolution_gradient(cotangent, kernel, shape, border="zero"):
    """d(sum of cotangent * out) / d(in), each product sent back where it came from."""
    height, width, _ = shape
    bordered = np.zeros((height + 2, width + 2, shape[2]))
    for u in range(3):
        for v in range(3):
            share = cotangent @ np.asarray(kernel[u, v], np.float64).T
            bordered[u : u + height, v : v + width] += share
    if border == "replicate":
        for i in range(height + 2):
            for j in range(width + 2):
                row, column = min(max(i, 1), height), min(max(j, 1), width)
                if (row, column) != (i, j):
                    bordered[row, column] += bordered[i, j]
    return bordered[1:-1, 1:-1]


def relu(features):
    return np.where(features > 0, features, 0.0)


def pool(features, kind, rounding="floor"):
    """2x2 windows side by side; at an odd end dropped (floor) or cut short (ceil)."""
    features = np.asarray(features, np.float64)
    halve = {"floor": math.floor, "ceil": math.ceil, "same": math.ceil}[rounding]
    reduce = {"max": np.max, "avg": np.mean}[kind]
    height, width = (halve(side / 2) for side in features.shape[:2])
    result = np.empty((height, width, features.shape[2]))
    for i in range(height):
        for j in range(width):
            window = features[2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
            result[i, j] = reduce(window, axis=(0, 1))
    return result


def network_features(
    params,
    image,
    preprocessing,
    *,
    network="vgg19",
    last,
    pooling="max",
    rounding="floor",
    pool_scale=1.0,
    border="zero",
):
    """Every layer up to `last`, by name, of an sRGB image in 0..1."""
    scale, mean, std = (np.asarray(part, np.float64) for part in preprocessing)
    value, found = (np.asarray(image, np.float64) * scale - mean) / std, {}
    for name, _ in network_layers(network):
        if name.startswith("conv"):
            edge = border if name == "conv1_1" else "zero"
            layer = params[name]
            value = convolution(value, layer["kernel"], layer["bias"], edge)
        elif name.startswith("relu"):
            value = relu(value)
        else:
            value = pool_scale * pool(value, pooling, rounding)
        found[name] = value
        if name == last:
            return found
    raise ValueError(f"{network} has no layer {last}")


def random_params(network, last, seed=0):
    """He et al. (2015), eq. 10, and small biases, in float32, up to layer `last`."""
    generator, params, inputs = np.random.default_rng(seed), {}, 3
    for name, channels in network_layers(network):
        if name.startswith("conv"):
            kernel = generator.normal(size=(3, 3, inputs, channels))
            params[name] = {
                "kernel": np.float32(kernel * math.sqrt(2 / (9 * inputs))),
                "bias": np.float32(0.1 * generator.normal(size=channels)),
            }
            inputs = channels
        if name == last:
            break
    return params


# --- moments and style ----------------------------------------------------------


def moments(features, weight=None, centre=None):
    """Sums over positions of w, w f and w f f^T, f about each region's centre."""
    features = np.asarray(features, np.float64)
    if weight is None:
        weight = np.ones((*features.shape[:2], 1))
    weight = np.asarray(weight, np.float64)
    sums = []
    for region in range(weight.shape[2]):
        about = features - (0 if centre is None else np.float64(centre[region]))
        w = weight[..., region]
        second = np.einsum("hw,hwc,hwd->cd", w, about, about, optimize=True)
        sums.append((w.sum(), np.einsum("hw,hwc->c", w, about), second))
    return tuple(np.stack(each) for each in zip(*sums, strict=True))


def mean(features, weight=None):
    """The mean over positions of one region, weighted."""
    rows, share = _rows(features, weight)
    return share @ rows / share.sum()


def covariance(features, weight=None):
    """The covariance over positions of one region, about its own mean."""
    rows, share = _rows(features, weight)
    about = rows - mean(features, weight)
    return (share[:, None] * about).T @ about / share.sum()


def _rows(features, weight):
    rows = np.asarray(features, np.float64).reshape(-1, features.shape[-1])
    share = np.ones(len(rows)) if weight is None else np.float64(weight).ravel()
    return rows, share


def gram(features, division="none"):
    """Gatys et al. (2016), eq. 3: G = F F^T; divided by M, or by N M (Johnson)."""
    height, width, channels = features.shape
    columns = np.asarray(features, np.float64).reshape(-1, channels).T
    divisor = {
        "none": 1,
        "positions": height * width,
        "elements": channels * height * width,
    }[division]
    return columns @ columns.T / divisor


def style(gram_image, gram_style, reduction, pixels=None):
    """The squared distance of two Gram matrices.

    mean: over the N^2 entries (jcjohnson, Gatys' code). sum: gordicaleksa. image:
    over 4 * 3^2 * (h w)^2, constants of the image (Keras' example, titu1994).
    scaled: over the absolute distance (style-transfer-pytorch, 2021).
    """
    if reduction == "scaled":
        return scaled_mse(gram_image, gram_style)
    distance = np.sum((gram_image - gram_style) ** 2)
    if reduction == "mean":
        return distance / gram_image.shape[-1] ** 2
    return distance / (4 * 3**2 * float(pixels) ** 2 if reduction == "image" else 1)


def style_gatys(features, style_features):
    """Gatys et al. (2016), eq. 4: E = 1 / (4 N^2 M^2) sum (G - A)^2."""
    height, width, channels = features.shape
    distance = np.sum((gram(features) - gram(style_features)) ** 2)
    return distance / (4 * channels**2 * (height * width) ** 2)


def style_gatys_gradient(features, style_features):
    """Gatys et al. (2016), eq. 6: (F^T (G - A)) / (N^2 M^2), before the ReLU's mask."""
    height, width, channels = features.shape
    distance = gram(features) - gram(style_features)
    return features @ distance / (channels**2 * (height * width) ** 2)


def scaled_mse(found, target, weight=1.0):
    """style-transfer-pytorch (2021): sum d^2 / (sum |d| + 1e-8)."""
    difference = np.float64(found) - target
    absolute = np.sum(weight * np.abs(difference))
    return np.sum(weight * difference**2) / (absolute + 1e-8)


def mean_std(features, style_features):
    """Mean over channels of (mu - mu')^2 and of (s - s')^2, s = sqrt(var + 1e-5)."""
    means, deviations = (
        [reduce(each) for each in (features, style_features)]
        for reduce in (
            lambda f: mean(f),
            lambda f: np.sqrt(np.diag(covariance(f)) + 1e-5),
        )
    )
    parts = (means[0] - means[1]) ** 2 + (deviations[0] - deviations[1]) ** 2
    return parts.mean()


def symmetric_root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def newton_schulz_root(matrix, iterations=12):
    """The root as style-transfer-pytorch (2023) has it after its 12 iterations."""
    size = np.linalg.norm(matrix)
    identity = np.eye(len(matrix))
    y, z = matrix / size, identity
    for _ in range(iterations):
        step = (3 * identity - z @ y) / 2
        y, z = y @ step, step @ z
    return y * np.sqrt(size)


def wasserstein(features, style_features, root=symmetric_root, ridge=1e-4):
    """style-transfer-pytorch (2023): the mean over channels of both distances.

    mean (mu - mu')^2 + mean diag(S' + S - 2 (S'^1/2 S S'^1/2)^1/2), each S with
    the ridge, 1e-4 I, added. Good for features of about 1; see `bures` for others.
    """
    channels = features.shape[-1]
    image, goal = (
        covariance(f) + ridge * np.eye(channels) for f in (features, style_features)
    )
    half = root(goal)
    shared = root(half @ image @ half)
    means = np.mean((mean(features) - mean(style_features)) ** 2)
    return means + np.mean(np.diag(goal + image - 2 * shared))


def bures(features, style_features, ridge=1e-4):
    """The squared Bures distance of two covariances and its slope by the features.

    From the features' singular values, as products of covariances of such a range
    leave float64 no digits either: with S = L L^T and T = R R^T the trace of
    (R^T S R)^1/2 is the sum of the singular values of R^T L = P D Q, and its slope
    by S is (R P Q L^-1) / 2.
    """

    def factor(given):
        about = given.reshape(-1, given.shape[-1]).astype(np.float64)
        about -= about.mean(0)
        small = np.linalg.qr(about / np.sqrt(len(about)), mode="r")
        _, sizes, vectors = np.linalg.svd(small, full_matrices=True)
        squares = np.zeros(given.shape[-1])
        squares[: len(sizes)] = sizes**2
        return about, vectors.T, np.sqrt(squares + ridge)

    about, vectors, sizes = factor(features)
    _, goal_vectors, goal_sizes = factor(style_features)
    left = goal_vectors * goal_sizes
    p, shared, q = np.linalg.svd(left.T @ (vectors * sizes))
    value = np.sum(sizes**2) + np.sum(goal_sizes**2) - 2 * np.sum(shared)
    slope = left @ p @ q @ (vectors / sizes).T
    by_covariance = np.eye(len(sizes)) - (slope + slope.T) / 2
    gradient = 2 / len(about) * about @ by_covariance
    return value, gradient.reshape(features.shape)


def laplacian(image, pool):
    """Li et al. (2017): 4 x - its four neighbours, of the means over windows."""
    image = np.asarray(image, np.float64)
    height, width = image.shape[0] // pool, image.shape[1] // pool
    small = np.empty((height, width, 3))
    for i in range(height):
        for j in range(width):
            window = image[i * pool : (i + 1) * pool, j * pool : (j + 1) * pool]
            small[i, j] = window.mean((0, 1))
    edges = np.empty((max(height - 2, 0), max(width - 2, 0), 3))
    for i in range(1, height - 1):
        for j in range(1, width - 1):
            around = small[i - 1, j] + small[i + 1, j] + small[i, j - 1]
            edges[i - 1, j - 1] = 4 * small[i, j] - around - small[i, j + 1]
    return edges


# --- content --------------------------------------------------------------------


def content(features, target, form, weight=None):
    """Gatys et al. (2016), eq. 1 (half_sum), and the divisions that programs use."""
    share = 1.0 if weight is None else np.float64(weight)[..., None]
    if form == "scaled":
        return scaled_mse(features, target, share)
    return _content_factor(features.shape, form) * np.sum(
        share * (np.asarray(features, np.float64) - target) ** 2
    )


def content_gradient(features, target, form):
    """Gatys et al. (2016), eq. 2, for half_sum: F - P."""
    if form == "scaled":  # the quotient rule
        difference = np.float64(features) - target
        absolute = np.sum(np.abs(difference)) + 1e-8
        whole = scaled_mse(features, target)
        return (2 * difference - whole * np.sign(difference)) / absolute
    return 2 * _content_factor(features.shape, form) * (features - target)


def _content_factor(shape, form):
    height, width, channels = shape
    return {
        "half_sum": 1 / 2,
        "sum": 1,
        "mean": 1 / (height * width * channels),
        # cysmith's type 1: 1 / (2 sqrt(N) sqrt(M)).
        "root": 1 / (2 * math.sqrt(channels) * math.sqrt(height * width)),
    }[form]


# --- total variation ------------------------------------------------------------


def _shifted(image, rows, columns, wrap="none"):
    """The neighbour `rows` below and `columns` right; at a border, the border pixel,
    or what is at the other end where the picture is wrapped."""
    height, width, _ = image.shape
    row, column = np.arange(height) + rows, np.arange(width) + columns
    row = row % height if "y" in wrap else np.clip(row, 0, height - 1)
    column = column % width if "x" in wrap else np.clip(column, 0, width - 1)
    return image[row][:, column]


def total_variation(image, form, wrap="none"):
    """Each form as its program documents it; dx, dy are zero outside the picture."""
    image = np.asarray(image, np.float64)
    height, width, channels = image.shape
    dx = _shifted(image, 0, 1, wrap) - image
    dy = _shifted(image, 1, 0, wrap) - image
    inside = np.ones((height, width, 1))  # where both neighbours exist
    if "x" not in wrap:
        inside[:, -1] = 0
    if "y" not in wrap:
        inside[-1] = 0
    match form:
        case "absolute":  # neural-style-pt: sum |dx| + sum |dy|
            return np.abs(dx).sum() + np.abs(dy).sum()
        case "squared":  # jcjohnson: 1/2 sum (dx^2 + dy^2) over the inner grid
            return (inside * (dx**2 + dy**2)).sum() / 2
        case "mean_squared":  # anishathalye: each sum over its own count
            across = height * (width - ("x" not in wrap)) * channels
            down = (height - ("y" not in wrap)) * width * channels
            return (dx**2).sum() / across + (dy**2).sum() / down
        case "padded_squared":  # style-transfer-pytorch, 2021: mean (dx^2 + dy^2)
            return (dx**2 + dy**2).mean()
        case "nine_point":
            return _nine_point(image, dx, dy, wrap)
        case "power":  # Mahendran and Vedaldi (2015), beta / 2 = 1.25
            return (inside * (dx**2 + dy**2) ** 1.25).sum()
    raise ValueError(form)


def _nine_point(image, dx, dy, wrap):
    """style-transfer-pytorch, 2023: axes a third each, diagonals a twelfth, twice.

    The diagonals cross at the corners of the pixels: (h+1) (w+1) of them with the
    picture's border, one row or column fewer along an axis that is wrapped.
    """
    (above, below), (left, right) = (
        _either_side(side, letter in wrap)
        for side, letter in zip(image.shape, "yx", strict=False)
    )
    falling = image[below][:, right] - image[above][:, left]
    rising = image[below][:, left] - image[above][:, right]
    diagonals = (falling**2 + rising**2).mean()
    return 2 * ((dx**2 + dy**2).mean() / 3 + diagonals / 12)


def _either_side(side, wrapped):
    """The pixels before and after each line between pixels, along one axis."""
    if wrapped:
        return np.arange(side) - 1, np.arange(side)
    after = np.arange(side + 1)
    return np.maximum(after - 1, 0), np.minimum(after, side - 1)


# --- gradients ------------------------------------------------------------------


def numerical_gradient(function, point, step=1e-6):
    """Central differences, one number of `point` at a time."""
    point = np.asarray(point, np.float64)
    gradient = np.empty_like(point)
    for index in np.ndindex(point.shape):
        offset = np.zeros_like(point)
        offset[index] = step
        gradient[index] = function(point + offset) - function(point - offset)
    return gradient / (2 * step)


def slope(function, point, direction, step=1e-6):
    """The derivative of `function` along `direction`, by central differences."""
    point, direction = (np.asarray(array, np.float64) for array in (point, direction))
    rise = function(point + step * direction) - function(point - step * direction)
    return rise / (2 * step)


def relative_error(found, expected):
    """The norm of the difference, relative to the norm of what is expected."""
    expected = np.asarray(expected, np.float64)
    size = np.linalg.norm(expected)
    distance = np.linalg.norm(np.asarray(found, np.float64) - expected)
    return float(distance / size) if size else float(distance)
