"""The objective of every preset in PyTorch: its own convolutions, pools and autograd.

float32 on the CPU, written as the programs are (those that were PyTorch's, nearly line
by line in what they compute), from the published constants and not from nst_jax, which
is not imported here. PyTorch is no dependency of the project: where it is missing,
`tests/test_presets.py` skips what needs this file. To run it, install torch beside the
test requirements:

    python -m pip install torch
    python -m pytest tests/test_presets.py -k peer
"""

import torch
from torch.nn import functional as F

# One thread: the sums are then the same on every run.
torch.set_num_threads(1)

CAFFE_BGR = (103.939, 116.779, 123.68)
FIVE = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
BLOCKS = (2, 2, 4, 4, 4)


def tensor(image):
    """A picture `h w 3` as `1 3 h w`."""
    return torch.as_tensor(image).permute(2, 0, 1)[None]


class Network:
    """VGG19 in one program's way.

    `reverse`: it takes blue, green, red. `turn`: its kernels' rows are its columns.
    """

    def __init__(
        self, params, pool, *, reverse=False, turn=False, padding_mode="zeros"
    ):
        self.pool, self.layers = pool, {}
        for name, layer in params.items():
            kernel = torch.tensor(layer["kernel"]).permute(3, 2, 0, 1).contiguous()
            if name == "conv1_1" and reverse:
                kernel = kernel.flip(1)
            if turn:
                kernel = kernel.transpose(2, 3).contiguous()
            mode = padding_mode if name == "conv1_1" else "zeros"
            outputs, inputs, _, _ = kernel.shape
            conv = torch.nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode=mode)
            conv.weight = torch.nn.Parameter(kernel, requires_grad=False)
            conv.bias = torch.nn.Parameter(torch.tensor(layer["bias"]), False)
            self.layers[name] = conv

    def __call__(self, x):
        found = {}
        for block, count in enumerate(BLOCKS, 1):
            for index in range(1, count + 1):
                if (block, index) == (5, 3):
                    return found
                x = self.layers[f"conv{block}_{index}"](x)
                found[f"conv{block}_{index}"] = x
                x = F.relu(x)
                found[f"relu{block}_{index}"] = x
            x = self.pool(x)
        return found


def max_floor(x):
    return F.max_pool2d(x, 2, 2)


def max_ceil(x):
    return F.max_pool2d(x, 2, 2, ceil_mode=True)


def avg_floor(x):
    return F.avg_pool2d(x, 2, 2)


def avg_ceil(x):
    return F.avg_pool2d(x, 2, 2, ceil_mode=True, count_include_pad=False)


def caffe(image, scale=255):
    """Blue, green, red, about the mean."""
    return tensor(image).flip(1) * scale - torch.tensor(CAFFE_BGR).view(1, 3, 1, 1)


def imagenet(image):
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    return (tensor(image) - mean) / std


def gram(x):
    flat = x.flatten(2)[0]
    return torch.mm(flat, flat.t())


def positions(x):
    return gram(x) / (x.shape[2] * x.shape[3])


def elements(x):
    return gram(x) / x.numel()


def l1_variation(x):
    across = (x[:, :, :, 1:] - x[:, :, :, :-1]).abs().sum()
    return across + (x[:, :, 1:] - x[:, :, :-1]).abs().sum()


def caffe_network(params, pool, padding_mode="zeros"):
    return Network(params, pool, reverse=True, padding_mode=padding_mode)


def three(network, prepare, content, style, image):
    with torch.no_grad():
        targets = network(prepare(content)), network(prepare(style))
    return (*targets, network(prepare(image)))


def styles(names, f, a, loss):
    return {name: loss(f[name], a[name].detach()) for name in names}


def gatys2016(params, content, style, image):
    network = caffe_network(params, avg_ceil)
    p, a, f = three(network, caffe, content, style, image)

    def energy(x, y):
        n, m = x.shape[1], x.shape[2] * x.shape[3]
        return 1e3 / 5 * F.mse_loss(gram(x), gram(y), reduction="sum") / 4 / n**2 / m**2

    names = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
    kept = 0.5 * F.mse_loss(f["conv4_2"], p["conv4_2"], reduction="sum")
    return {"conv4_2": kept}, styles(names, f, a, energy), None


def gatys_code(params, content, style, image):
    network = caffe_network(params, max_floor)
    p, a, f = three(network, caffe, content, style, image)

    def loss(x, y):
        return 1e3 / x.shape[1] ** 2 * F.mse_loss(positions(x), positions(y))

    kept = 1e0 * F.mse_loss(f["relu4_2"], p["relu4_2"])
    return {"relu4_2": kept}, styles(FIVE, f, a, loss), None


def neural_style(params, content, style, image):
    def prepare(x):
        return caffe(x, 256)

    p, a, f = three(caffe_network(params, max_ceil), prepare, content, style, image)
    kept = 5 * F.mse_loss(f["relu4_2"], p["relu4_2"])
    x = prepare(image)
    windows = F.unfold(x.transpose(0, 1), 2)  # the pixel, right, below, across
    right, below = windows[:, 1] - windows[:, 0], windows[:, 2] - windows[:, 0]
    tv = 1e-3 * 0.5 * (right.pow(2) + below.pow(2)).sum()
    found = styles(FIVE, f, a, lambda x, y: 100 * F.mse_loss(elements(x), elements(y)))
    return {"relu4_2": kept}, found, tv


def neural_style_pt(params, content, style, image):
    network = caffe_network(params, max_floor)
    p, a, f = three(network, caffe, content, style, image)
    kept = 5 * F.mse_loss(f["relu4_2"], p["relu4_2"])
    found = styles(FIVE, f, a, lambda x, y: 100 * F.mse_loss(elements(x), elements(y)))
    return {"relu4_2": kept}, found, 1e-3 * l1_variation(caffe(image))


CROWSON = dict(zip(FIVE, (256, 64, 16, 4, 1), strict=True))


def _crowson(params, content, style, image, content_loss, style_loss):
    network = Network(params, max_floor, padding_mode="replicate")
    p, a, f = three(network, imagenet, content, style, image)
    found = {
        name: weight / sum(CROWSON.values()) * style_loss(f[name], a[name])
        for name, weight in CROWSON.items()
    }
    return {"relu4_2": 0.015 * content_loss(f["relu4_2"], p["relu4_2"])}, found


class Root(torch.autograd.Function):
    """The program's square root: twelve Newton-Schulz iterations.

    Its slope solves X Z + Z X = the cotangent, by as many iterations, as if the root
    Z had converged (Li, Xie, Wang and Gao, 2018, give the scheme).
    """

    @staticmethod
    def forward(ctx, matrix):
        norm, eye = matrix.norm(), torch.eye(len(matrix), dtype=matrix.dtype)
        y, z = matrix / norm, eye
        for _ in range(12):
            t = (3 * eye - z @ y) / 2
            y, z = y @ t, t @ z
        root = y * norm.sqrt()
        ctx.save_for_backward(root)
        return root

    @staticmethod
    def backward(ctx, cotangent):
        (root,) = ctx.saved_tensors
        norm, eye = root.norm(), torch.eye(len(root), dtype=root.dtype)
        a, q = root / norm, cotangent / norm
        for _ in range(12):
            turn = 3 * eye - a @ a
            q = (q @ turn - a.t() @ (a.t() @ q - q @ a)) / 2
            a = a @ turn / 2
        return q / 2


def crowsonkb(params, content, style, image):
    def statistics(x):
        flat = x.flatten(2)[0].double()
        mean = flat.mean(1)
        second = flat @ flat.t() / flat.shape[1]
        ridge = 1e-4 * torch.eye(len(mean), dtype=torch.float64)
        return mean, second - mean[:, None] * mean[None] + ridge

    def distance(x, y):
        mean, cov = statistics(x)
        target_mean, target_cov = statistics(y)
        root = Root.apply(target_cov)
        middle = Root.apply(root @ cov @ root)
        spread = (cov + target_cov - 2 * middle).diagonal().mean()
        return F.mse_loss(mean, target_mean) + spread

    both = _crowson(params, content, style, image, F.mse_loss, distance)
    x = F.pad(tensor(image), (1, 1, 1, 1), "replicate")
    here = x[..., 1:-1, 1:-1]
    s1, s2 = x[..., 1:-1, 2:] - here, x[..., 2:, 1:-1] - here
    s3, s4 = x[..., 1:, 1:] - x[..., :-1, :-1], x[..., 1:, :-1] - x[..., :-1, 1:]
    axes = (s1.pow(2).mean() + s2.pow(2).mean()) / 3
    return *both, 2 * 2 * (axes + (s3.pow(2).mean() + s4.pow(2).mean()) / 12)


def crowsonkb_2021(params, content, style, image):
    def scaled(x, y):
        difference = x - y
        return difference.pow(2).sum() / (difference.abs().sum() + 1e-8)

    def distance(x, y):
        return scaled(positions(x), positions(y))

    both = _crowson(params, content, style, image, scaled, distance)
    x = F.pad(tensor(image), (0, 1, 0, 1), "replicate")
    here = x[..., :-1, :-1]
    across, down = x[..., :-1, 1:] - here, x[..., 1:, :-1] - here
    return *both, 2 * (across**2 + down**2).mean()


def cysmith(params, content, style, image):
    network = caffe_network(params, avg_ceil)
    p, a, f = three(network, caffe, content, style, image)

    def loss(x, y):
        n, m = x.shape[1], x.shape[2] * x.shape[3]
        return 1e4 / 5 * 0.2 / (4 * n**2) * (gram(x) / m - gram(y) / m).pow(2).sum()

    x, y = f["conv4_2"], p["conv4_2"]
    k = 1.0 / (2.0 * x.shape[1] ** 0.5 * (x.shape[2] * x.shape[3]) ** 0.5)
    tv = 1e-3 * l1_variation(caffe(image))
    return {"conv4_2": 5 * k * (x - y).pow(2).sum()}, styles(FIVE, f, a, loss), tv


def anishathalye(params, content, style, image):
    network = Network(params, max_ceil, reverse=True, turn=True)
    p, a, f = three(network, caffe, content, style, image)
    kept = 5 * F.mse_loss(f["relu4_2"], p["relu4_2"])
    found = styles(
        FIVE, f, a, lambda x, y: 500 / 5 * F.mse_loss(elements(x), elements(y))
    )
    x = caffe(image)
    tv = F.mse_loss(x[:, :, 1:], x[:, :, :-1]) + F.mse_loss(x[..., 1:], x[..., :-1])
    return {"relu4_2": kept}, found, 100 * tv


def optimizer_study(params, content, style, image):
    network = caffe_network(params, max_floor)
    p, a, f = three(network, caffe, content, style, image)
    kept = 1e4 * F.mse_loss(f["relu5_2"], p["relu5_2"])
    found = styles(
        FIVE, f, a, lambda x, y: 1e-2 / 5 * F.mse_loss(positions(x), positions(y))
    )
    return {"relu5_2": kept}, found, None


def tensorflow_tutorial(params, content, style, image):
    kept, found, _ = optimizer_study(params, content, style, image)
    return kept, found, 30 * l1_variation(tensor(image))


def keras_example(params, content, style, image):
    network = caffe_network(params, max_floor)
    p, a, f = three(network, caffe, content, style, image)
    size = image.shape[0] * image.shape[1]

    def loss(x, y):
        return 1e-6 / 5 * ((gram(x) - gram(y)) / (2 * 3 * size)).pow(2).sum()

    kept = 2.5e-8 * F.mse_loss(f["relu5_2"], p["relu5_2"], reduction="sum")
    x = caffe(image)
    here = x[:, :, :-1, :-1]
    a2, b2 = (here - x[:, :, 1:, :-1]).square(), (here - x[:, :, :-1, 1:]).square()
    return {"relu5_2": kept}, styles(FIVE, f, a, loss), 1e-6 * (a2 + b2).pow(1.25).sum()


def pytorch_tutorial(params, content, style, image):
    p, a, f = three(Network(params, max_floor), imagenet, content, style, image)
    names = ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1")
    found = styles(
        names, f, a, lambda x, y: 1000000 * F.mse_loss(elements(x), elements(y))
    )
    return {"conv2_2": F.mse_loss(f["conv2_2"], p["conv2_2"])}, found, None


def coursera(params, content, style, image):
    network = caffe_network(params, avg_ceil)
    p, a, f = three(network, caffe, content, style, image)

    def loss(x, y):
        return 40 * 0.2 / 4 * F.mse_loss(positions(x), positions(y))

    kept = 10 / 4 * F.mse_loss(f["relu4_2"], p["relu4_2"])
    return {"relu4_2": kept}, styles(FIVE, f, a, loss), None


def cs229(params, content, style, image):
    p, a, f = three(caffe_network(params, max_ceil), caffe, content, style, image)

    def loss(x, y):
        return 1e-5 * (positions(x) - positions(y)).square().sum()

    kept = 1e-5 * (f["relu4_2"] - p["relu4_2"]).square().sum()
    return (
        {"relu4_2": kept},
        styles(FIVE, f, a, loss),
        1e-2 * l1_variation(caffe(image)),
    )


def default(params, content, style, image):
    network = caffe_network(params, avg_floor, "replicate")
    p, a, f = three(network, caffe, content, style, image)
    kept = F.mse_loss(f["relu4_2"], p["relu4_2"])
    found = styles(FIVE, f, a, lambda x, y: 30 * F.mse_loss(elements(x), elements(y)))
    x = caffe(image)
    down, across = x.diff(dim=2).square().mean(), x.diff(dim=3).square().mean()
    return {"relu4_2": kept}, found, 15 * (down + across)


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


def terms_and_gradient(name, params, content, style, image):
    """The weighted terms as plain numbers, and the slope of their sum, `h w 3`."""
    point = torch.tensor(image, requires_grad=True)
    content_terms, style_terms, tv = TERMS[name](params, content, style, point)
    values = [*content_terms.values(), *style_terms.values()]
    total = sum(values) if tv is None else sum(values) + tv
    total.backward()
    numbers = [
        {key: value.item() for key, value in part.items()}
        for part in (content_terms, style_terms)
    ]
    return (*numbers, 0.0 if tv is None else tv.item()), point.grad.numpy()
