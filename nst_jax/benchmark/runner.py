"""Cells started as processes, one after the other, and what they answer."""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from nst_jax.benchmark.cell import Spec

Found = dict[str, Any]
# Seconds that a process has to end when it is asked to.
_GRACE = 5


class Command(NamedTuple):
    """A program that reads a JSON file and writes another, named after it."""

    arguments: Sequence[str]
    environment: Mapping[str, str] | None = None


# The clock starts before anything is imported.
_START = (
    "import time; begun = time.perf_counter(); "
    "from nst_jax import start; from nst_jax.benchmark import cell; "
    "start.enter(lambda argv: cell.main(argv, begun))"
)
OURS = Command((sys.executable, "-c", _START))


def run(spec: Spec, folder: Path) -> Found:
    """What a cell found; `failed` or `refused` says why there is nothing else."""
    return ask(OURS, spec._asdict(), folder)


def ask(command: Command, question: Mapping[str, Any], folder: Path) -> Found:
    """What a program answers; where it broke, `failed` says how."""
    asked, answer, log = (folder / name for name in ("asked", "answer", "log"))
    asked.write_text(json.dumps(question))
    answer.unlink(missing_ok=True)
    with log.open("wb") as said:
        process = subprocess.Popen(
            (*command.arguments, str(asked), str(answer)),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=None if command.environment is None else dict(command.environment),
        )
        try:
            status = process.wait()
        finally:
            _end(process)
    if status == 0 and answer.exists():
        found: Found = json.loads(answer.read_text())
        return found
    return {"failed": _death(status, log.read_text(errors="replace"))}


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process that is still there."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _death(status: int, said: str) -> str:
    """Why a process gave no answer."""
    if status < 0:
        name = signal.Signals(-status).name
        hint = "; the system may have run out of memory" if name == "SIGKILL" else ""
        return f"the process was ended by {name}{hint}"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return f"status {status}: {lines[-1] if lines else 'it said nothing'}"


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """A block in which Ctrl-C and SIGTERM raise KeyboardInterrupt.

    This process has no JAX in it, which such an exception would break.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        raise KeyboardInterrupt(signal.Signals(number).name)

    before = [(each, signal.signal(each, stop)) for each in _SIGNALS]
    try:
        yield
    finally:
        for each, handler in before:
            signal.signal(each, handler or signal.SIG_DFL)


_SIGNALS = (signal.SIGINT, signal.SIGTERM)
