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


def moments(features, weight=None):
    """Sums over positions of w, w f and w f f^T, for each region of `weight`."""
    features = np.asarray(features, np.float64)
    if weight is None:
        weight = np.ones((*features.shape[:2], 1))
    weight = np.asarray(weight, np.float64)
    return (
        np.einsum("hwr->r", weight),
        np.einsum("hwr,hwc->rc", weight, features),
        np.einsum("hwr,hwc,hwd->rcd", weight, features, features, optimize=True),
    )


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
    """
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


# --- content --------------------------------------------------------------------


def content(features, target, form):
    """Gatys et al. (2016), eq. 1 (half_sum), and the divisions that programs use."""
    return _content_factor(features.shape, form) * np.sum(
        (np.asarray(features, np.float64) - target) ** 2
    )


def content_gradient(features, target, form):
    """Gatys et al. (2016), eq. 2, for half_sum: F - P."""
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


def _shifted(image, rows, columns):
    """The neighbour `rows` below and `columns` right; at a border, the border pixel."""
    height, width, _ = image.shape
    row = np.clip(np.arange(height) + rows, 0, height - 1)
    column = np.clip(np.arange(width) + columns, 0, width - 1)
    return image[row][:, column]


def total_variation(image, form):
    """Each form as its program documents it; dx, dy are zero outside the picture."""
    image = np.asarray(image, np.float64)
    height, width, channels = image.shape
    dx = _shifted(image, 0, 1) - image
    dy = _shifted(image, 1, 0) - image
    inside = np.zeros((height, width, 1))
    inside[:-1, :-1] = 1  # both neighbours exist
    match form:
        case "absolute":  # neural-style-pt: sum |dx| + sum |dy|
            return np.abs(dx).sum() + np.abs(dy).sum()
        case "squared":  # jcjohnson: 1/2 sum (dx^2 + dy^2) over the inner grid
            return (inside * (dx**2 + dy**2)).sum() / 2
        case "mean_squared":  # anishathalye: each sum over its own count
            across = height * (width - 1) * channels
            down = (height - 1) * width * channels
            return (dx**2).sum() / across + (dy**2).sum() / down
        case "padded_squared":  # style-transfer-pytorch, 2021: mean (dx^2 + dy^2)
            return (dx**2 + dy**2).mean()
        case "nine_point":
            return _nine_point(image, dx, dy)
        case "power":  # Mahendran and Vedaldi (2015), beta / 2 = 1.25
            return (inside * (dx**2 + dy**2) ** 1.25).sum()
    raise ValueError(form)


def _nine_point(image, dx, dy):
    """style-transfer-pytorch, 2023: axes a third each, diagonals a twelfth, twice.

    The diagonals cross at the (h+1) (w+1) corners of the pixels, the picture's
    border included.
    """
    height, width, channels = image.shape
    crossings = 0.0
    for i in range(height + 1):
        above, below = max(i - 1, 0), min(i, height - 1)
        left = image[:, np.maximum(np.arange(width + 1) - 1, 0)]
        right = image[:, np.minimum(np.arange(width + 1), width - 1)]
        crossings += np.sum((right[below] - left[above]) ** 2)
        crossings += np.sum((left[below] - right[above]) ** 2)
    diagonals = crossings / ((height + 1) * (width + 1) * channels)
    return 2 * ((dx**2 + dy**2).mean() / 3 + diagonals / 12)


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
