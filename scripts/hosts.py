"""Several processes over loopback: one picture, a kill, a resume, a signal.

    python scripts/hosts.py --processes=4

Each process has one CPU device. What was seen is in docs/scale.md.
"""

import argparse
import contextlib
import csv
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
_STEPS = 400
_LIMIT = 900  # seconds of one scene


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--spread", default="rows")
    parser.add_argument("--optimizer", default="adam")
    asked = parser.parse_args()
    flags = [f"--spread={asked.spread}", f"--optimizer={asked.optimizer}"]
    with tempfile.TemporaryDirectory() as name:
        folder, count = Path(name), asked.processes
        print(f"{count} processes, {' '.join(flags)}")
        _alike(folder, count, flags)
        for odd in ("--seed=7", "--content=nothing.jpg"):
            _refused(folder / odd.strip("-"), count, flags, odd)
        for victim in (count - 1, 0):
            _killed(folder / f"kill{victim}", count, victim, flags)
        for victim in (count - 1, 0):
            _asked_to_end(folder / f"term{victim}", count, victim, flags)


def _alike(folder: Path, count: int, flags: list[str]) -> None:
    """Compares a run of all with a run of one process."""
    tables = []
    for name, number in (("one", 1), ("all", count)):
        here = folder / name
        here.mkdir()
        began = time.monotonic()
        with _started(here, number, [*flags, "--steps=6", "--log_every=1"]) as them:
            status = [each.wait(_LIMIT) for each in them]
        print(f"  {name}: statuses {status}, {time.monotonic() - began:.1f} s")
        with (here / "metrics.csv").open() as file:
            tables.append([float(row["total"]) for row in csv.DictReader(file)])
    apart = [abs(a - b) / abs(a) for a, b in zip(*tables, strict=True)]
    print(
        f"  the loss differs by {apart[0]:.1e} at the start, {apart[-1]:.1e} at the end"
    )


def _refused(folder: Path, count: int, flags: list[str], odd: str) -> None:
    """Gives the last process something else."""
    folder.mkdir()
    with _started(folder, count, flags, odd) as them:
        status = [each.wait(_LIMIT) for each in them]
    print(f"  the last one has {odd}: statuses {status}")


def _killed(folder: Path, count: int, victim: int, flags: list[str]) -> None:
    """Kills one process, and goes on from the last checkpoint."""
    folder.mkdir()
    kept = [f"--checkpoint={folder / 'kept'}", "--checkpoint_every=20"]
    flags = [*flags, f"--steps={_STEPS}", *kept]
    with _started(folder, count, flags) as them:
        _until(folder / "kept" / "step-000040.safetensors", them)
        them[victim].kill()
        since, status = time.monotonic(), []
        for each in them:
            status.append(each.wait(_LIMIT))
            seconds = time.monotonic() - since
    print(
        f"  process {victim} killed: statuses {status}, the last after {seconds:.1f} s"
    )
    last = max((folder / "kept").glob("step-*")).stem
    with _started(folder, count, [*flags, "--resume", f"--steps={_STEPS}"]) as them:
        status = [each.wait(_LIMIT) for each in them]
    told = (folder / "told.0").read_text()
    goes_on = next((row for row in told.splitlines() if "goes on" in row), "no word")
    print(f"  resumed from {last}: statuses {status}; {goes_on.partition(' of ')[0]!r}")


def _asked_to_end(folder: Path, count: int, victim: int, flags: list[str]) -> None:
    """Sends SIGTERM to one process."""
    folder.mkdir()
    kept = [f"--checkpoint={folder / 'kept'}", "--checkpoint_every=20"]
    with _started(folder, count, [*flags, "--steps=100000", *kept]) as them:
        _until(folder / "kept" / "step-000040.safetensors", them)
        them[victim].send_signal(signal.SIGTERM)
        since = time.monotonic()
        status = [each.wait(_LIMIT) for each in them]
        seconds = time.monotonic() - since
    there = (folder / "out.png").exists()
    print(
        f"  process {victim} got SIGTERM: statuses {status}, the last after "
        f"{seconds:.1f} s, the picture is {'kept' if there else 'NOT kept'}"
    )


@contextlib.contextmanager
def _started(
    folder: Path, count: int, flags: list[str], odd: str = ""
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The processes of one run; what is left of them ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        there = f"127.0.0.1:{free.getsockname()[1]}"
    env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    meets = [f"--coordinator={there}", f"--processes={count}"] if count > 1 else []
    processes = []
    with contextlib.ExitStack() as stack:
        for index in range(count):
            told = stack.enter_context((folder / f"told.{index}").open("wb"))
            own = [f"--process={index}"] if count > 1 else []
            own += [odd] if odd and index == count - 1 else []
            command = [*_command(folder), *flags, *meets, *own]
            made = subprocess.Popen(
                command, stdout=told, stderr=told, env=env, cwd=ROOT
            )
            processes.append(made)
        try:
            yield processes
        finally:
            for each in processes:
                if each.poll() is None:
                    each.kill()
                    each.wait()


def _command(folder: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "nst_jax.run", "--device=cpu", "--weights=random"),
        *("--content=examples/content.jpg", "--style=examples/style.jpg"),
        *(f"--output={folder / 'out.png'}", f"--metrics={folder / 'metrics.csv'}"),
        *("--size=96", "--scales=none", "--tile=32", "--content_layers=relu2_1"),
        *("--style_layers=relu1_1,relu2_1", "--overwrite"),
    ]


def _until(path: Path, processes: list[subprocess.Popen[bytes]]) -> None:
    """Waits until a file, or one of a later step, is there."""
    since = time.monotonic()
    while not any(each >= path for each in path.parent.glob("step-*.safetensors")):
        if any(each.poll() is not None for each in processes):
            raise SystemExit(f"a process ended early: see {path.parent.parent}")
        if time.monotonic() - since > _LIMIT:
            raise SystemExit("no checkpoint in time")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
