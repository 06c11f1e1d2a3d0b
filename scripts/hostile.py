"""Are broken and hostile files answered with one line?

    python scripts/hostile.py [--only=TEXT] [--limit=1024]

Makes over a thousand files, gives each to the program as a user would, in a process
that is watched, and tells of every one that was not answered as it should: exit status
2 and a single line where a file cannot be used, 0 where it is readable after all;
nothing written but the output, nothing run, no connection, no file of the bait beside
it opened, no more memory than the limit (in MB), no more time than a minute.
docs/reliability.md has what it found.
"""

import argparse
import contextlib
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from hostility import cases, checkpoints, pictures, tables, texts, weights
from hostility.cases import Case

_SECONDS = 60.0
_FLAGS = (
    *("--network=vgg16", "--steps=0", "--size=32", "--scales=none", "--device=cpu"),
    *("--content_layers=relu1_1", "--style_layers=relu1_1", "--offline", "--quiet"),
)
_RANDOM = "nst-jax: random weights (seed 0): for tests and timing, not for pictures\n"
# What a file must never make the program do.
_FORBIDDEN = (
    *("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork"),
    *("socket.connect", "pickle.find_class", "os.remove", "shutil.rmtree"),
)


class Outcome(NamedTuple):
    """What came of a file."""

    status: int
    said: str
    faults: list[str]
    megabytes: float
    seconds: float


def every() -> Iterator[Case]:
    """All files."""
    yield from pictures.cases()
    yield from weights.cases()
    yield from texts.cases()
    yield from checkpoints.cases()
    yield from tables.cases()


def main(argv: Sequence[str]) -> int:
    """0 if all files were answered as they should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="of files whose name holds this")
    parser.add_argument(
        "--limit", type=float, default=1024, help="megabytes for a file"
    )
    options = parser.parse_args(argv)
    chosen = [case for case in every() if options.only in f"{case.role} {case.name}"]
    started, bad = time.monotonic(), 0
    outcomes: dict[str, list[Outcome]] = {}
    largest, slowest = ("", 0.0), ("", 0.0)
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(_Watched()) as run:
        for number, case in enumerate(chosen):
            outcome = run.of(case, Path(folder, str(number)))
            faults = [*outcome.faults, *wrong(case, outcome)]
            if outcome.megabytes > options.limit:
                faults.append(f"{outcome.megabytes:.0f} MB")
            if faults:
                bad += 1
                print(f"{case.role} {case.name}: {'; '.join(faults)}", flush=True)
            outcomes.setdefault(case.role, []).append(outcome)
            largest = max(largest, (case.name, outcome.megabytes), key=_second)
            slowest = max(slowest, (case.name, outcome.seconds), key=_second)
    for line in _table(outcomes):
        print(line)
    print(f"largest: {largest[0]}; slowest: {slowest[0]}")
    print(
        f"{len(chosen)} files in {time.monotonic() - started:.0f} s, {bad} not as told"
    )
    return 1 if bad else 0


def wrong(case: Case, outcome: Outcome) -> Iterator[str]:
    """How status and words differ from what they should be."""
    allowed = {"refused": (2,), "read": (0,), "either": (0, 2)}[case.expect]
    lines = outcome.said.replace(_RANDOM, "").splitlines()
    if outcome.status not in allowed:
        yield f"status {outcome.status}, said {outcome.said[:300]!r}"
    elif outcome.status == 2 and (
        len(lines) != 1 or not lines[0].startswith("nst-jax: ") or len(lines[0]) > 2000
    ):
        yield f"{len(lines)} lines: {outcome.said[:300]!r}"
    if not outcome.said.replace("\n", "").isprintable():
        yield f"said {outcome.said[:300]!r}"


def arguments(case: Case) -> list[str]:
    """The command line that gives the file to the program."""
    words = {"FILE": case.file, "PHOTO": "../photo.png", "PAINTING": "../painting.png"}
    made = []
    for word in cases.ROLES[case.role]:
        flag, _, value = word.partition("=")
        for name, text in words.items():
            value = value.replace(name, text)
        made.append(f"{flag}={value}")
    weight = () if case.role == "weights" else ("--weights=random",)
    # A folder of many, so that what they leave is the same.
    output = "out.many" if case.role == "manifest" else "out.png"
    # Of two flags the later wins: that of the file.
    return [*_FLAGS, *weight, f"--output={output}", *made]


def lay(case: Case, folder: Path) -> None:
    """Puts the file where it is read from."""
    path = folder / case.file
    path.parent.mkdir(parents=True)
    path.write_bytes(case.content())
    for name, data in case.beside.items():
        (folder / name).write_bytes(data)


def _second(pair: tuple[str, float]) -> float:
    return pair[1]


def _table(outcomes: dict[str, list[Outcome]]) -> Iterator[str]:
    yield f"{'given as':10} {'files':>6} {'refused':>8} {'read':>6} {'MB':>6} {'s':>6}"
    for role, found in outcomes.items():
        refused = sum(each.status == 2 for each in found)
        read = sum(each.status == 0 for each in found)
        most = max(each.megabytes for each in found)
        slowest = max(each.seconds for each in found)
        counts = f"{role:10} {len(found):6} {refused:8} {read:6}"
        yield f"{counts} {most:6.0f} {slowest:6.1f}"


class _Watched:
    """A process that does the runs, replaced when one of them kills it."""

    def __init__(self) -> None:
        self.context = multiprocessing.get_context("spawn")
        self.process: Any = None

    def of(self, case: Case, folder: Path) -> Outcome:
        """What comes of the file."""
        lay(case, folder)
        if not (folder.parent / "photo.png").exists():
            for name in ("photo", "painting"):
                data = pictures.saved(pictures.noise(), "PNG")
                (folder.parent / f"{name}.png").write_bytes(data)
        if self.process is None or not self.process.is_alive():
            self.here, there = self.context.Pipe()
            self.process = self.context.Process(
                target=_serve, args=(there,), daemon=True
            )
            self.process.start()
        self.here.send((arguments(case), str(folder)))
        try:
            if self.here.poll(_SECONDS):
                return Outcome(*self.here.recv())
            fault = f"not done after {_SECONDS:.0f} s"
            self.process.kill()
        except EOFError:
            fault = "the process died"
        self.process.join()
        fault += f" ({self.process.exitcode})"
        self.process = None
        return Outcome(-1, "", [fault], 0, _SECONDS)

    def close(self) -> None:
        """Ends the process."""
        if self.process is not None:
            self.process.kill()


def _serve(there: Connection) -> None:
    """Does one run after another, and tells what came of each."""
    import nst_jax.job  # JAX, whose memory is no file's

    del nst_jax
    # A bomb that goes off must not take the machine with it.
    resource.setrlimit(resource.RLIMIT_AS, (24 << 30, 24 << 30))
    seen: list[str] = []
    sys.addaudithook(lambda event, given: _note(event, given, seen))
    while True:
        argv, folder = there.recv()
        os.chdir(folder)
        there.send(_outcome(argv, Path(folder), seen))


def _note(event: str, given: tuple[Any, ...], seen: list[str]) -> None:
    if event in _FORBIDDEN:
        seen.append(event)
    elif event == "open" and isinstance(given[0], str | bytes):
        name = os.fsdecode(given[0])
        if name.endswith(("passwd", "secret.h5", "ran")):
            seen.append(f"open {name}")


def _outcome(argv: list[str], folder: Path, seen: list[str]) -> Outcome:
    before = set(folder.rglob("*"))
    beside = set(folder.parent.iterdir())
    seen.clear()
    start_peak()
    held, started = memory("VmRSS"), time.monotonic()
    status, said = _run(argv)
    seconds, megabytes = time.monotonic() - started, memory("VmHWM") - held
    faults = [each for each in dict.fromkeys(seen) if each != "os.remove"]
    left = {path.relative_to(folder) for path in set(folder.rglob("*")) - before}
    ours = ("out.", "step-")  # results and checkpoints
    strange = {
        path
        for path in left
        if status != 0 or not any(part.startswith(ours) for part in path.parts)
    }
    if strange or set(folder.parent.iterdir()) != beside:
        faults.append(f"left {sorted(map(str, left))}")
    return Outcome(status, said, faults, megabytes, seconds)


def _run(argv: list[str]) -> tuple[int, str]:
    """The exit status and what stands on file descriptor 2."""
    from nst_jax import run

    with tempfile.TemporaryFile() as said:
        kept = os.dup(2)
        os.dup2(said.fileno(), 2)
        try:
            status = run.main(argv)
        except BaseException as error:
            status = 99
            os.write(2, f"Traceback: {error!r}".encode("utf-8", "backslashreplace"))
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
        said.seek(0)
        return status, said.read().decode("utf-8", "backslashreplace")


def start_peak() -> None:
    """Forgets the largest memory so far; only Linux can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def memory(name: str) -> float:
    """Megabytes; 0 where the system does not tell."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith(name):
                return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
