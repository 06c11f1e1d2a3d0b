"""What do many jobs in one go cost beyond their steps?

    python scripts/jobs.py [--contents=10] [--styles=10] [--shapes=1] [-- FLAGS]

Cuts contents and styles out of the shipped examples, photos of about a megapixel, does
each content in each style in this process, and prints how much of the time were the
steps themselves (the compiled chunks, until their results are there), what the rest
cost a job, and how often something was compiled. FLAGS are those of a run; by default
--size=256 --steps=20 --optimizer=adam. docs/jobs.md has what it found.
"""

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nst_jax import devices, images, progress, run, solve, transfer

_EXAMPLES = Path(__file__).parents[1] / "examples"
_FLAGS = ("--size=256", "--steps=20", "--optimizer=adam", "--device=cpu", "--quiet")
_SIDES = (1152, 864)
_PIXELS = 10**8


def main(argv: list[str]) -> int:
    """The exit status of the jobs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contents", type=int, default=10)
    parser.add_argument("--styles", type=int, default=10)
    parser.add_argument("--shapes", type=int, default=1, help="of the contents")
    parser.add_argument("flags", nargs="*", help="of a run")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        _cut("content", options.contents, options.shapes)
        _cut("style", options.styles, 1)
        return _measured(options.contents * options.styles, options.flags)


def _measured(jobs: int, flags: list[str]) -> int:
    """Does the jobs and prints what they cost; their exit status."""
    devices.compile_seconds()  # listens from here on
    words = ("--content=content", "--style=style", "--output=out", *_FLAGS, *flags)
    with _clocked() as pauses:
        began = time.monotonic()
        status = run.main(list(words))
        seconds = time.monotonic() - began
    if not pauses:  # refused
        return status
    compiling, count = devices.compile_seconds(), len(devices.compilations())
    print(f"{jobs} jobs in {seconds:.1f} s, {seconds / jobs:.2f} s each")
    print(f"compiled {count} programs in {compiling:.1f} s")
    if pauses[-1].steps == pauses[0].steps:
        print("the steps are not told apart: it takes two jobs, one after the other")
        return status
    # Until the first job ends, there is what is loaded and compiled once.
    first, last = pauses[0], pauses[-1]
    for name, place in {"wall": 0, "processor": 1}.items():
        steps = (last.steps[place] - first.steps[place]) / (len(pauses) - 1)
        whole = (last.clock[place] - first.clock[place]) / (len(pauses) - 1)
        rest = f"the rest {whole - steps:.3f} s: {whole / steps - 1:.1%}"
        print(f"{name}: steps {steps:.3f} s a job, {rest}")
    return status


class _Pause(NamedTuple):
    """The end of a job: both clocks there, and what the steps took up to there."""

    clock: tuple[float, float]
    steps: tuple[float, float]


def _clock() -> tuple[float, float]:
    """Seconds of the wall, and of the processors."""
    return time.monotonic(), time.process_time()


@contextlib.contextmanager
def _clocked() -> Iterator[list[_Pause]]:
    """A block in which chunks are timed at the end of each job."""
    pauses: list[_Pause] = []
    spent = [0.0, 0.0]
    solver, jobs = transfer.solver, progress.jobs
    made: Any = transfer  # whose solver is to be another

    def timed(*given: Any) -> solve.Solver:
        found = solver(*given)

        def chunk(*arguments: Any) -> Any:
            began = _clock()
            state, info = found.chunk(*arguments)
            int(state.step)
            for place, (now, then) in enumerate(zip(_clock(), began, strict=True)):
                spent[place] += now - then
            return state, info

        clocked: Any = chunk
        return found._replace(chunk=clocked)

    def done(name: str, said: str) -> None:
        pauses.append(_Pause(_clock(), (spent[0], spent[1])))

    def watched(count: int, *, quiet: bool) -> progress.Jobs:
        return jobs(count, quiet=quiet)._replace(done=done)

    made.solver, progress.jobs = timed, watched
    try:
        yield pauses
    finally:
        made.solver, progress.jobs = solver, jobs


def _cut(role: str, count: int, shapes: int) -> None:
    """So many pictures of a role, in a folder of that name."""
    whole = images.read(_EXAMPLES / f"{role}.jpg", max_pixels=_PIXELS).pixels
    shape = images.working_size(whole.shape[:2], 1600, "long", 1)
    whole = images.resize(whole, shape, filter="lanczos")
    Path(role).mkdir()
    draw = np.random.default_rng(0)
    for number in range(count):
        rows = _SIDES[1] - 64 * (number % shapes)
        part = images.resize(
            whole[: draw.integers(shape[0] // 2, shape[0])],
            (rows, _SIDES[0]),
            filter="lanczos",
        )
        images.write(f"{role}/{number:03}.jpg", np.clip(part, 0, 1))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
