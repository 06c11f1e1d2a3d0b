"""Measures the peak memory of a dozen jobs beside what was estimated; writes the table.

    python scripts/memory_table.py --output=docs/memory_table.md

Each job is a run of its own, two steps of made-up pictures, on the CPU: what is
measured is the most that the process had resident, compiling included.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

ADAM, LBFGS = "--optimizer=adam", "--optimizer=lbfgs"
CASES = (
    (256, 256, ADAM),
    (512, 512, ADAM),
    (512, 512, LBFGS),
    (512, 512, LBFGS, "--history=40"),
    (512, 512, ADAM, "--convolution=direct", "--pooling=max"),
    (512, 512, ADAM, "--precision=mixed"),
    (512, 512, ADAM, "--style_loss=wasserstein"),
    (768, 512, LBFGS, "--rematerialize"),
    (1024, 768, ADAM),
    (1024, 768, LBFGS, "--line_search=none"),
    (1024, 768, ADAM, "--rematerialize"),
    (1024, 768, ADAM, "--tile=512"),
    (1024, 768, ADAM, "--memory_limit=1.6"),
    (1536, 1024, ADAM, "--memory_limit=2.5"),
)
# Runs the program and tells the most that it had resident; as a process of its own, so
# that one case is not measured with the next.
_RUN = """
import resource, sys
from nst_jax import run
status = run.main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
sys.exit(status)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, help="the table, in Markdown")
    arguments = parser.parse_args()
    rows, worst = [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        for width, height, *flags in CASES:
            expected, found = measured(Path(folder), width, height, flags)
            off = expected / found - 1
            worst = max(worst, abs(off))
            rows.append(
                f"| {width}x{height} | {' '.join(flags)} | {expected / 2**20:.0f} "
                f"| {found / 2**20:.0f} | {off:+.0%} |"
            )
            print(rows[-1], flush=True)
    head = (
        "| size | settings | estimated, MiB | measured, MiB | |",
        "|---|---|---:|---:|---:|",
    )
    if arguments.output:
        arguments.output.write_text("\n".join((*head, *rows)) + "\n")
    print(f"worst {worst:.0%}")
    return int(worst > 0.2)


def measured(
    folder: Path, width: int, height: int, flags: list[str]
) -> tuple[int, int]:
    """The bytes that a job was expected to take, and those that it took."""
    generator = np.random.default_rng(0)
    for name, shape in {"content": (height, width), "style": (512, 512)}.items():
        small = generator.integers(0, 256, (shape[0] // 8, shape[1] // 8, 3), np.uint8)
        picture = Image.fromarray(small).resize(shape[::-1], Image.Resampling.BICUBIC)
        picture.save(folder / f"{name}.png")
    words = [
        f"--content={folder / 'content.png'}",
        f"--style={folder / 'style.png'}",
        f"--output={folder / 'out.png'}",
        *("--size=0", "--steps=2", "--scales=none", "--weights=random"),
        *("--device=cpu", "--quiet", "--overwrite"),
        *flags,
    ]
    environment = dict(os.environ, JAX_ENABLE_COMPILATION_CACHE="0")
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *words],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(flags)}: {done.stderr.strip()}")
    return expected((height, width), words), int(done.stdout.split()[-1])


def expected(shape: tuple[int, int], words: list[str]) -> int:
    """The estimate of a job, as the program makes it."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    import jax

    from nst_jax import flags, job, memory, prepare

    with contextlib.redirect_stdout(None):
        config = flags.parse(words, read_settings=str).config
    config = job.resolve(config, jax.devices()[0])
    return memory.need(shape, [(512, 512)], config, prepare.forward(config)).total


if __name__ == "__main__":
    sys.exit(main())
