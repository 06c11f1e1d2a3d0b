"""Writes tests/data/lpips.json: what the authors' LPIPS makes of a few pictures.

    python -m pip install torch==2.13.0 numpy safetensors lpips==0.1.4
    python scripts/original_lpips.py --weights=weights/vgg16-torchvision.safetensors

Needs neither JAX nor this package. The authors' program runs as it stands; only the
numbers of VGG16 come from the converted file instead of torchvision's download, and,
for a second table that a test can check without that file, from a generator.
"""

import argparse
import importlib
import importlib.metadata
import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np

TARGET = Path(__file__).resolve().parents[1] / "tests" / "data" / "lpips.json"
CHANNELS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512)
# Rows and columns, seed, and how much of the second picture is noise.
CASES = ((64, 64, 0, 0.1), (17, 33, 1, 0.5), (64, 64, 2, 1.0))

Layers = list[tuple[np.ndarray, np.ndarray]]


def pair(rows: int, columns: int, seed: int, share: float) -> list[np.ndarray]:
    """A soft picture, and the same with noise in its place to that share."""
    draw = np.random.default_rng(seed)
    blocks = draw.random((rows // 8 + 1, columns // 8 + 1, 3))
    soft = blocks.repeat(8, 0).repeat(8, 1)[:rows, :columns]
    noise = draw.random(soft.shape)
    return [soft.astype(np.float32), ((1 - share) * soft + share * noise).astype("f4")]


def random_network(seed: int) -> Layers:
    """He's initialisation, as `--weights=random` draws it."""
    draw, inputs, layers = np.random.default_rng(seed), 3, []
    for channels in filter(None, CHANNELS):
        kernel = draw.standard_normal((3, 3, inputs, channels), np.float32)
        kernel *= np.float32((2 / (9 * inputs)) ** 0.5)
        layers.append((kernel, np.zeros(channels, np.float32)))
        inputs = channels
    return layers


def random_linear(seed: int) -> list[np.ndarray]:
    """Weights of the five layers' channels."""
    draw = np.random.default_rng(seed)
    return [draw.random(size, np.float32) for size in (64, 128, 256, 512, 512)]


def true_network(path: str) -> Layers:
    """The convolutions of a converted file, in their order."""
    from safetensors.numpy import load_file

    tensors = load_file(path)
    names = sorted({name.split("/")[0] for name in tensors})
    return [(tensors[f"{name}/kernel"], tensors[f"{name}/bias"]) for name in names]


def original(layers: Layers, linear: list[np.ndarray] | None) -> Any:
    """The authors' model over these convolutions."""
    torch: Any = importlib.import_module("torch")

    modules: list[Any] = []
    numbers = iter(layers)
    for channels in CHANNELS:
        if not channels:
            modules.append(torch.nn.MaxPool2d(2))
            continue
        kernel, bias = next(numbers)
        convolution = torch.nn.Conv2d(kernel.shape[2], channels, 3, padding=1)
        oihw = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
        convolution.weight.data = torch.from_numpy(oihw)
        convolution.bias.data = torch.from_numpy(bias)
        modules += [convolution, torch.nn.ReLU()]
    network = types.SimpleNamespace(features=torch.nn.Sequential(*modules))
    # What lpips asks torchvision for.
    models = types.ModuleType("torchvision.models")
    models.vgg16 = lambda pretrained: network  # type: ignore[attr-defined]
    whole = types.ModuleType("torchvision")
    whole.models = models  # type: ignore[attr-defined]
    sys.modules |= {"torchvision": whole, "torchvision.models": models}
    program: Any = importlib.import_module("lpips")
    # Named anew for the second model, as the module is loaded once.
    program.pn.tv = models
    model = program.LPIPS(net="vgg", verbose=False)
    for layer, weight in zip(model.lins, linear or [], strict=False):
        layer.model[1].weight.data = torch.from_numpy(weight)[None, :, None, None]
    return model


def distances(model: Any) -> list[float]:
    """The distance of every pair of pictures."""
    torch: Any = importlib.import_module("torch")

    found = []
    for case in CASES:
        first, second = (
            torch.from_numpy(image.transpose(2, 0, 1)[None]) for image in pair(*case)
        )
        with torch.no_grad():
            found.append(float(model(first, second, normalize=True)))
    return found


def main(arguments: list[str]) -> int:
    """Writes the file; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", required=True)
    path = parser.parse_args(arguments).weights
    names = ("lpips", "torch", "numpy")
    found = {
        "command": "python scripts/original_lpips.py --weights=FILE",
        "versions": {name: importlib.metadata.version(name) for name in names},
        "cases": [list(case) for case in CASES],
        "true": distances(original(true_network(path), None)),
        "random": distances(original(random_network(0), random_linear(1))),
    }
    TARGET.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
