"""Draw the pictures in examples/: a landscape as content, a painting as style.

python scripts/make_examples.py [--output=FOLDER]
"""

import argparse
from pathlib import Path

import numpy as np
from drawing import painting, scene
from drawing.noise import Floats
from PIL import Image

_EXAMPLES = Path(__file__).parents[1] / "examples"
_SCENE_SEED, _PAINTING_SEED = 1, 7


def save(picture: Floats, path: Path) -> None:
    """Write an sRGB picture in 0..1 as a JPEG."""
    pixels = np.round(picture * 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, quality=90, optimize=True)
    print(f"{path}: {picture.shape[1]}x{picture.shape[0]}, {path.stat().st_size} bytes")


def main() -> None:
    """Draw both."""
    parser = argparse.ArgumentParser(description="Draw examples/.")
    parser.add_argument("--output", type=Path, default=_EXAMPLES, metavar="FOLDER")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    save(scene.draw(_SCENE_SEED), folder / "content.jpg")
    save(painting.draw(_PAINTING_SEED), folder / "style.jpg")


if __name__ == "__main__":
    main()
