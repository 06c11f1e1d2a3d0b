"""Kills runs at random moments, lets them go on, and compares what they leave.

    python scripts/kills.py --count=100 --folder=FOLDER [--size=96]

Adam and L-BFGS in turn paint two small pictures over two scales, with a checkpoint
after every step. The same command line is started, killed with SIGKILL and started
again, a few times a run, and at the end left alone. A kill comes at a random moment of
the program's life, or while a file is being written, or as soon as a scale is done.
The picture, its settings and the metrics but for their seconds must be those of a run
that nobody touched, to the byte. Prints a line for each kill and one in the end; the
exit status is 1 if anything differed.
"""

import argparse
import csv
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

_KILLS_A_RUN = 4
_PATIENCE = 300.0  # seconds that a run may take
_STEPS = 12  # at each of two scales
_OPTIMIZERS = ("adam", "lbfgs")
_FILES = ("out.png", "out.flags")


class Job(NamedTuple):
    """What is painted, and how long that takes with its programs compiled."""

    folder: Path
    optimizer: str
    size: int
    life: float = 0.0  # seconds


class Kill(NamedTuple):
    """When a run was killed: of which kind, and where its checkpoints stood."""

    is_kill: bool  # it had not ended by itself
    kind: str
    seconds: float
    last: str


def main(count: int, folder: Path, size: int, seed: int) -> int:
    """Kills so many times in all; the exit status."""
    generator = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    pictures(folder)
    whole = {each: _whole(folder, each, size) for each in _OPTIMIZERS}
    done, faults, runs = 0, 0, 0
    while done < count:
        optimizer = _OPTIMIZERS[runs % len(_OPTIMIZERS)]
        runs += 1
        job = Job(folder, optimizer, size, whole[optimizer])
        most = min(_KILLS_A_RUN, count - done)
        kills, found = survived(job, folder / f"run-{runs}", most, generator)
        done += kills
        faults += bool(found)
        print(f"run {runs}: {'; '.join(found) or 'the same'}", flush=True)
    print(f"{done} kills, {runs} runs, {faults} of them differ")
    return 1 if faults else 0


def survived(
    job: Job, here: Path, most: int, generator: random.Random
) -> tuple[int, list[str]]:
    """How often a run was killed before it came to its end, and what differs then."""
    here.mkdir()
    command, done = command_of(job, here), 0
    while done < most:
        kill = _killed(command, here, generator, job.life)
        if not kill.is_kill:
            break
        done += 1
        said = f"{job.optimizer} {kill.kind} {kill.seconds:.2f} s {kill.last}"
        print(f"kill {done}: {said}", flush=True)
    _finish(command)
    return done, differences(job.folder / job.optimizer, here)


def differences(whole: Path, here: Path) -> list[str]:
    """What a run left that one without a break did not."""
    found = [
        name
        for name in _FILES
        if (whole / name).read_bytes().replace(bytes(whole), b"")
        != (here / name).read_bytes().replace(bytes(here), b"")
    ]
    if _rows(whole) != _rows(here):
        found.append("metrics")
    halves = [path.name for path in (here / "checkpoint").glob(".nst_jax*")]
    kept = [path.name for path in (here / "checkpoint").glob("*.safetensors")]
    if halves or len(kept) != 2:
        found.append(f"left {halves} and {kept}")
    return found


def _whole(folder: Path, optimizer: str, size: int) -> float:
    """The run that nobody touches; how long it takes once its programs are compiled."""
    here = folder / optimizer
    here.mkdir(exist_ok=True)
    command = command_of(Job(folder, optimizer, size), here)
    _finish([*command, "--overwrite"])
    started = time.monotonic()
    _finish([*(each for each in command if each != "--resume"), "--overwrite"])
    return time.monotonic() - started


def command_of(job: Job, here: Path) -> list[str]:
    """The command line of a run that leaves its files in a folder."""
    folder, optimizer, size, _ = job
    return [
        *(sys.executable, "-m", "nst_jax.run", f"--optimizer={optimizer}"),
        *(f"--content={folder}/photo.png", f"--style={folder}/painting.png"),
        *(f"--output={here}/out.png", f"--metrics={here}/out.csv", "--log_every=5"),
        *(f"--checkpoint={here}/checkpoint", "--checkpoint_every=1", "--resume"),
        *(f"--size={size}", f"--scales={size * 2 // 3}", f"--steps={_STEPS}"),
        *("--content_layers=relu2_1", "--style_layers=relu1_1,relu2_1"),
        *("--weights=random", "--keep=average", "--device=cpu", "--quiet"),
    ]


def _killed(
    command: list[str], here: Path, generator: random.Random, life: float
) -> Kill:
    moment, ahead = generator.uniform(0, life), _steps(here)
    kinds = ["anytime", "writing", *["between"] * (ahead < _STEPS)]
    kind = generator.choice(kinds)
    due: dict[str, Callable[[float], bool]] = {
        "anytime": lambda spent: spent > moment,
        "writing": lambda spent: (
            any(here.rglob(".nst_jax-*")) and _steps(here) > ahead + moment / life * 9
        ),
        "between": lambda spent: _steps(here) == _STEPS,
    }
    started = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while process.poll() is None and not due[kind](time.monotonic() - started):
        time.sleep(0.0005)
    process.kill()
    process.wait()
    if process.returncode > 0:
        raise SystemExit(f"the run ended with {process.returncode}")
    spent = time.monotonic() - started
    return Kill(process.returncode < 0, kind, spent, f"step {_steps(here)}")


def _steps(here: Path) -> int:
    """The steps of the last checkpoint."""
    names = [path.stem for path in (here / "checkpoint").glob("step-*.safetensors")]
    return max((int(name.removeprefix("step-")) for name in names), default=0)


def _finish(command: list[str]) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_PATIENCE, check=False
    )
    if done.returncode:
        raise SystemExit(f"a run ended with {done.returncode}: {done.stderr.strip()}")


def _rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "out.csv", encoding="utf-8", newline="") as file:
        return [{**row, "seconds": ""} for row in csv.DictReader(file)]


def pictures(folder: Path) -> None:
    """A photo and a painting, both of them noise on a slope."""
    generator = np.random.default_rng(0)
    for name, (rows, columns) in {"photo": (60, 80), "painting": (70, 50)}.items():
        slope = np.linspace(0, 200, columns)[None, :, None]
        noise = generator.integers(0, 55, (rows, columns, 3))
        image = Image.fromarray((slope + noise).astype(np.uint8))
        image.save(folder / f"{name}.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    sys.exit(main(asked.count, asked.folder.resolve(), asked.size, asked.seed))
