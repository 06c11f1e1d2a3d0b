"""Does memory stay flat over hundreds of jobs in one process?

    python scripts/soak.py [--jobs=300] [--shapes=7] [--settled=10]

Runs jobs of six kinds and a wrong request in turn, as a notebook or a batch would, each
of the next shape. Prints the memory of the process as it goes on and fails if it was
ever more than 5 % above the highest of the first jobs, `--settled` of them. With
`--shapes=300 --settled=40` nothing is ever asked for twice, and every job compiles:
compiled programs may not pile up either. docs/reliability.md has what it found.
"""

import argparse
import contextlib
import ctypes
import gc
import io
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from nst_jax import run

_GROWTH = 0.05
_ALL = ("--weights=random", "--network=vgg16", "--device=cpu", "--steps=3", "--quiet")
_SHALLOW = ("--content_layers=relu2_1", "--style_layers=relu1_1,relu2_1")
_KINDS = (
    ("--optimizer=adam", "--overwrite"),
    ("--optimizer=lbfgs", "--overwrite", "--scales=none"),
    ("--optimizer=adam", "--overwrite", "--strength=0.5"),
    ("--optimizer=adam", "--overwrite", "--color=luminance", "--tv_weight=1"),
    ("--optimizer=adam", "--overwrite", "--content_mask=mask.png"),
    ("--overwrite", "--metrics=loss.csv", "--preview=look.jpg", "--scales=2"),
    ("--optimizer=nothing",),  # refused
)


def main(argv: list[str]) -> int:
    """0 if the memory stayed flat."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--shapes", type=int, default=7)
    parser.add_argument("--settled", type=int, default=10)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        _pictures()
        return _soak(options.jobs, options.shapes, options.settled)


def _soak(jobs: int, shapes: int, settled: int) -> int:
    started, held = time.monotonic(), []
    for number in range(1, jobs + 1):
        _job(40 + 2 * (number % shapes), _KINDS[number % len(_KINDS)])
        held.append(_memory())
        if number % 10 == 0 or number == jobs:
            seconds = time.monotonic() - started
            print(f"job {number:4}  {held[-1]:7.1f} MB  {seconds:6.1f} s", flush=True)
    growth = max(held[settled:]) / max(held[:settled]) - 1
    print(f"{jobs} jobs: {growth:+.1%} after the first {settled}")
    return 0 if growth < _GROWTH else 1


def _job(size: int, kind: tuple[str, ...]) -> None:
    pair = (
        "--content=photo.png",
        "--style=painting.png",
        f"--output=out{size % 3}.png",
    )
    wrong = "--optimizer=nothing" in kind
    with contextlib.redirect_stderr(io.StringIO()) as said:
        status = run.main([*pair, *_ALL, *_SHALLOW, f"--size={size}", *kind])
    if status != (2 if wrong else 0):
        raise SystemExit(f"{kind} ended with {status}: {said.getvalue()}")


def _memory() -> float:
    """Megabytes that the process holds, without what was freed and is kept."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGESIZE") / 2**20


def _pictures() -> None:
    draw = np.random.default_rng(0)
    for name, shape in {"photo": (60, 80, 3), "painting": (70, 50, 3)}.items():
        pixels = draw.integers(0, 256, shape, np.uint8)
        Image.fromarray(pixels).save(f"{name}.png")
    mask = np.zeros((60, 80), np.uint8)
    mask[:, 40:] = 255
    Image.fromarray(mask).save("mask.png")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
