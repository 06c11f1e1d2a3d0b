"""How evenly --strength leads from the content to the style: a sheet and a table.

    python scripts/evenness.py --sizes=96,160 --steps=30 --output=docs/balance.jpg
    python scripts/evenness.py photo.jpg,painting.jpg another.jpg,painting.jpg

Each pair is painted at five strengths and each size. The position of a result, 0 at
the content and 1 where the style is alone (strength 1), is the mean of two shares:
of the way that its features have gone from the content's, and of the way that its
Gram matrices have gone to the style's. Even is a position equal to the strength.
`--fixed=0.03` instead weighs the default style_weight 30 by that factor at strength
1/2, whatever the pictures are.
"""

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from drawing import plain
from drawing.noise import Floats
from PIL import Image

import nst_jax
from nst_jax import balance, moments, transfer, vgg
from nst_jax.arrays import Params, Preprocessing, Weights
from nst_jax.config import Config, ObjectiveConfig, SolveConfig
from nst_jax.images import sampling

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
_EXAMPLES = Path(__file__).parents[1] / "examples"
_LOOK = ("relu1_2", "relu2_2", "relu3_4", "relu4_4", "relu5_4")
_STYLE = ObjectiveConfig().style_layers
_CELL, _GAP = 192, 6  # pixels of the sheet
_WHITE = 255


class Seen(NamedTuple):
    """A picture as it is compared: directions of features, and Gram matrices."""

    features: list[jax.Array]
    grams: list[jax.Array]


class Row(NamedTuple):
    """A pair at one size: its pictures by strength, and where they stand."""

    name: str
    size: int
    style: Floats
    results: list[Floats]
    positions: list[float]


def drawn() -> dict[str, tuple[Floats, Floats]]:
    """Four pairs of pictures that the project draws itself."""
    town, painting = (_read(_EXAMPLES / f"{name}.jpg") for name in ("content", "style"))
    poster, balls = plain.poster(3), plain.balls()
    return {
        "town, painting": (town, painting),
        "town, poster": (town, poster),
        "balls, painting": (balls, painting),
        "poster, painting": (poster, painting),
    }


def settings(strength: float, steps: int, fixed: float) -> Config:
    """The settings of a strength, by the rule or with weights that are fixed."""
    goal = ObjectiveConfig(balance="range", strength=strength)
    if fixed:
        keep, paint = balance.shares(strength)
        whole = ObjectiveConfig()
        goal = ObjectiveConfig(
            content_weight=keep,
            style_weight=fixed * paint * whole.style_weight,
            tv_weight=fixed * paint * whole.tv_weight,
        )
    return Config(objective=goal, solve=SolveConfig(steps=steps))


def see(weights: Weights, image: Floats) -> Seen:
    """What is compared of a picture."""
    return _seen(weights.params, weights.preprocessing, jnp.asarray(image, jnp.float32))


@jax.jit
def _seen(params: Params, preprocessing: Preprocessing, image: jax.Array) -> Seen:
    names = tuple(dict.fromkeys((*_LOOK, *_STYLE)))
    found = vgg.features(params, preprocessing, image, names, vgg.Forward())
    lengths = {name: jnp.linalg.norm(found[name], axis=-1) for name in _LOOK}
    features = [found[n] / jnp.maximum(lengths[n], 1e-8)[..., None] for n in _LOOK]
    grams = [moments.gram_matrix(moments.moments(found[name])) for name in _STYLE]
    return Seen(features, grams)


def travelled(one: Seen, other: Seen) -> float:
    """How unlike two pictures of one size are: squared differences of directions."""
    pairs = zip(one.features, other.features, strict=True)
    return float(sum(jnp.mean(jnp.sum((a - b) ** 2, axis=-1)) for a, b in pairs))


def missing(one: Seen, style: Seen) -> float:
    """How far the Gram matrices are from the style's, a mean over layers."""
    pairs = zip(one.grams, style.grams, strict=True)
    parts = [jnp.linalg.norm(a - b) / jnp.linalg.norm(b) for a, b in pairs]
    return float(jnp.stack(parts).mean())


def position(found: Seen, content: Seen, style: Seen, alone: Seen) -> float:
    """Where a result stands between the content (0) and the style alone (1)."""
    way = travelled(found, content) / travelled(alone, content)
    start, end = missing(content, style), missing(alone, style)
    gone = (start - missing(found, style)) / (start - end)
    return float(np.clip([way, gone], 0, 1).mean())


def paint(
    name: str, pair: tuple[Floats, Floats], size: int, asked: argparse.Namespace
) -> Row:
    """A pair at one size, painted at every strength."""
    weights = nst_jax.load_weights()
    content, style = (_shrunk(picture, size) for picture in pair)
    results = [
        transfer.stylize(
            content, style, weights, settings(strength, asked.steps, asked.fixed)
        ).image
        for strength in STRENGTHS
    ]
    seen = [see(weights, each) for each in (content, style, results[-1])]
    positions = [position(see(weights, each), *seen) for each in results]
    print(_line(name, size, positions), flush=True)
    return Row(name, size, style, list(results), positions)


def sheet(rows: list[Row]) -> Image.Image:
    """Rows of the style and the results, all at one width."""
    bands = []
    for row in rows:
        height, width, _ = row.results[0].shape
        tall = round(_CELL * height / width)
        cells = [_cell(each, tall) for each in (row.style, *row.results)]
        bands.append(np.concatenate(cells, axis=1))
    picture = np.concatenate(bands, axis=0)
    return Image.fromarray(picture[:-_GAP, :-_GAP])


def _cell(picture: Floats, tall: int) -> Any:
    """A picture fitted into a cell, white around it."""
    pixels = np.round(np.clip(picture, 0, 1) * _WHITE).astype(np.uint8)
    image = Image.fromarray(pixels)
    ratio = min(_CELL / image.width, tall / image.height)
    small = image.resize((round(image.width * ratio), round(image.height * ratio)))
    cell = Image.new("RGB", (_CELL + _GAP, tall + _GAP), "white")
    cell.paste(small, ((_CELL - small.width) // 2, (tall - small.height) // 2))
    return np.asarray(cell)


def _line(name: str, size: int, positions: list[float]) -> str:
    numbers = " | ".join(f"{each:.2f}" for each in positions)
    return f"| {name} | {size} | {numbers} |"


def summary(rows: list[Row]) -> str:
    """The numbers: how far from even, and how far the rows are from each other."""
    inner = np.array([row.positions[1:-1] for row in rows])
    apart = np.abs(inner - STRENGTHS[1:-1])
    return (
        f"\nmean |position - strength| {apart.mean():.3f}, largest {apart.max():.3f}; "
        f"spread over rows (standard deviation) {inner.std(axis=0).mean():.3f}"
    )


def _read(path: Path) -> Floats:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), np.float32) / _WHITE


def _shrunk(picture: Floats, size: int) -> Any:
    ratio = size / max(picture.shape[:2])
    height, width = (round(side * ratio) for side in picture.shape[:2])
    pixels = np.asarray(picture, np.float32)
    return sampling.resize(pixels, (height, width), filter="lanczos")


def main() -> None:
    """Paints, prints the table and writes the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pairs", nargs="*", metavar="CONTENT,STYLE")
    parser.add_argument("--sizes", default="96,160")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--fixed", type=float, default=0.0, metavar="FACTOR")
    parser.add_argument("--output", type=Path, metavar="FILE")
    asked = parser.parse_args()
    pairs = drawn()
    if asked.pairs:
        files = [text.split(",") for text in asked.pairs]
        pairs = {
            f"{Path(a).stem}, {Path(b).stem}": (_read(Path(a)), _read(Path(b)))
            for a, b in files
        }
    print("| content, style | size |", " | ".join(map(str, STRENGTHS)), "|")
    print("|---" * (2 + len(STRENGTHS)) + "|")
    rows = [
        paint(name, pair, int(size), asked)
        for name, pair in pairs.items()
        for size in asked.sizes.split(",")
    ]
    print(summary(rows))
    if asked.output:
        sheet(rows).save(asked.output, quality=88, optimize=True)


if __name__ == "__main__":
    main()
