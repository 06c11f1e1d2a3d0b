"""Does any bytes at all make a reader do anything but read, or refuse in one line?

    python scripts/fuzz.py [--seconds=600] [--reader=NAME] [--findings=FOLDER]

Changes files at random, keeps those that reach lines of Python that none had reached
before, and changes those further, for so many seconds with each reader. A finding is a
file that ends in anything but RequestError with one printable line, warns, kills the
process, takes ten seconds of a processor or 512 MB; it is kept in the folder. Needs
Python 3.12.
docs/reliability.md has what it found.
"""

import argparse
import collections
import io
import multiprocessing
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np
from hostile import every, memory, start_peak
from hostility import arrays
from hostility.pictures import checked

from nst_jax.errors import RequestError

_SLOW, _LARGE, _HANGS = 10.0, 512.0, 60.0
_LONGEST_SEED = 20_000
# Whose lines count: ours, and the readers that are Python themselves.
_WATCHED = ("nst_jax", "PIL", "zipfile", "pickletools", "_format_impl", "h5py", "json")
_NUMBERS = (
    0,
    1,
    2,
    7,
    8,
    127,
    128,
    255,
    256,
    32767,
    65535,
    2**31 - 1,
    2**31,
    2**32 - 1,
)
Reader = Callable[[Path], object]


def _readers() -> dict[str, tuple[Reader, tuple[str, ...]]]:
    """Each reader, and as what the files that it starts from are given."""
    from nst_jax import flags, images
    from nst_jax.many import entries, wrong
    from nst_jax.many import manifest as tables
    from nst_jax.pretrained import canonical, convert

    given = ["--content=a", "--style=b", "--output=c.png"]

    def settings(path: Path) -> object:
        return flags.parse(
            [*given, f"--from={path}"], read_settings=images.read_settings
        )

    def flagfile(path: Path) -> object:
        return flags.parse([*given, f"--flagfile={path}"], read_settings=str)

    def weights(path: Path) -> object:
        found = convert.read(path, channel_order="bgr", preprocessing="caffe")
        return canonical.metadata(path), found

    def manifest(path: Path) -> object:
        data = path.read_bytes()
        path = path.with_suffix(".jsonl" if data[:1] == b"{" else ".csv")
        path.write_bytes(data)
        found, folder = wrong.Wrong({}), path.parent
        rows = tables.read(path, found)
        where = entries.Where(folder, folder / "out", (str(path),))
        jobs = entries.made(rows, flags.given([]), where, found)
        entries.check_apart(jobs, {path: "the table"}, found)
        found.check("the table", len(rows))
        return jobs

    return {
        "pictures": (lambda path: images.read(path, max_pixels=10**6), ("content",)),
        "settings": (settings, ("from",)),
        "weights": (weights, ("weights",)),
        "flagfile": (flagfile, ("flagfile",)),
        "manifest": (manifest, ("manifest",)),
    }


def main(argv: Sequence[str]) -> int:
    """0 if nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--reader", choices=[*_readers()], default=None)
    parser.add_argument("--findings", type=Path, default=Path("findings"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    if not hasattr(sys, "monitoring"):
        raise SystemExit("sys.monitoring is there since Python 3.12")
    count = 0
    for name in [options.reader] if options.reader else _readers():
        count += _fuzzed(name, options.seconds, options.findings, options.seed)
    return 1 if count else 0


def _fuzzed(name: str, seconds: float, findings: Path, seed: int) -> int:
    """How many findings a reader gave."""
    context = multiprocessing.get_context("spawn")
    counts = context.Array("q", 4, lock=False)  # executions, kept, lines, findings
    end = time.monotonic() + seconds
    deaths = 0
    with tempfile.TemporaryDirectory() as folder:
        current = Path(folder, "current")
        while time.monotonic() < end:
            left = end - time.monotonic()
            given = (name, current, left, findings, seed + deaths, counts)
            process = context.Process(target=_loop, args=given, daemon=True)
            current.unlink(missing_ok=True)
            process.start()
            why = _waited(process, counts, current)
            if not why:
                break
            deaths += 1
            _keep(findings, name, current.read_bytes(), why)
    executions, kept, lines, found = counts
    print(
        f"{name:9} {executions:9} executions, {kept} files kept, {lines} lines "
        f"reached, {found + deaths} findings",
        flush=True,
    )
    return found + deaths


def _waited(process: Any, counts: Any, current: Path) -> str:
    """Why the process ended before its time; empty if it did not.

    Until there is a current file it makes those that it starts from.
    """
    seen, since = -1, time.monotonic()
    while process.is_alive():
        process.join(1)
        if counts[0] != seen or not current.exists():
            seen, since = counts[0], time.monotonic()
        elif time.monotonic() - since > _HANGS:
            process.kill()
            process.join()
            return "hangs"
    return "" if process.exitcode == 0 else f"dies ({process.exitcode})"


def _keep(findings: Path, name: str, data: bytes, why: str) -> None:
    findings.mkdir(parents=True, exist_ok=True)
    number = len(list(findings.iterdir()))
    (findings / f"{name}-{number}").write_bytes(data)
    print(f"{findings / f'{name}-{number}'}: {why}", flush=True)


def _loop(
    name: str, current: Path, seconds: float, findings: Path, seed: int, counts: Any
) -> None:
    reader, roles = _readers()[name]
    seeds = {
        case.content() for case in every() if case.role in roles and case.is_small()
    }
    draw, lines = np.random.default_rng(seed), _watch()
    corpus = sorted(each for each in seeds if len(each) <= _LONGEST_SEED)
    waiting, end = list(corpus), time.monotonic() + seconds
    kinds: collections.Counter[str] = collections.Counter()
    while time.monotonic() < end:
        data = waiting.pop() if waiting else _mutated(draw, corpus)
        before = len(lines)
        why = _tried(reader, current, data)
        counts[0] += 1
        if why:
            counts[3] += 1
            kinds[why[:20]] += 1
            if kinds[why[:20]] < 4:  # more of a kind say no more
                _keep(findings, name, data, why)
        elif len(lines) > before and data not in seeds:
            corpus.append(data)
            counts[1] += 1
        counts[2] = len(lines)


def _tried(reader: Reader, current: Path, data: bytes) -> str:
    """What is wrong with how a reader took the file; empty if nothing is."""
    current.write_bytes(data)
    start_peak()
    held, started = memory("VmRSS"), time.process_time()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            reader(current)
        except RequestError as error:
            if not str(error).isprintable():
                return f"says {str(error)!r}"
        except BaseException as error:
            return f"raises {error!r}"
    if told:
        return f"warns {told[0].message!r}"
    seconds, megabytes = time.process_time() - started, memory("VmHWM") - held
    if seconds > _SLOW:
        return f"takes {seconds:.0f} s"
    return f"takes {megabytes:.0f} MB" if megabytes > _LARGE else ""


def _watch() -> set[tuple[CodeType, int]]:
    """The lines that were reached; grows by itself, each told once."""
    lines: set[tuple[CodeType, int]] = set()
    monitoring: Any = getattr(sys, "monitoring")  # noqa: B009 - since Python 3.12

    def reached(code: CodeType, line: int) -> Any:
        if any(part in code.co_filename for part in _WATCHED):
            lines.add((code, line))
        return monitoring.DISABLE

    tool = monitoring.COVERAGE_ID
    monitoring.use_tool_id(tool, "fuzz")
    monitoring.register_callback(tool, monitoring.events.LINE, reached)
    monitoring.set_events(tool, monitoring.events.LINE)
    return lines


def _mutated(draw: np.random.Generator, corpus: list[bytes]) -> bytes:
    """One of the files, changed; the latest are chosen more often."""
    place = int(len(corpus) * draw.random() ** 0.5)
    data = corpus[place]
    if data[:4] == b"PK\3\4" and draw.random() < 0.7:
        return _repacked(draw, data)
    other = corpus[draw.integers(len(corpus))]
    for _ in range(1 << draw.integers(5)):
        data = _changed(draw, data, other)
    # Decoders look no further where a checksum is wrong.
    return checked(data) if draw.random() < 0.7 else data


def _changed(draw: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """The file with one change of one of nine kinds."""
    start = int(draw.integers(len(data) + 1))
    stop = min(len(data), start + int(draw.integers(1, 1 << draw.integers(1, 9))))
    cut = int(draw.integers(len(other) + 1))
    piece = other[cut : cut + stop - start + 1]
    number = int(_NUMBERS[draw.integers(len(_NUMBERS))])
    width = int(draw.choice((1, 2, 4, 8)))
    value = (number % 256**width).to_bytes(width, str(draw.choice(("little", "big"))))
    match draw.integers(9):
        case 0:
            return data[:start]
        case 1:
            return data[:start] + data[stop:]
        case 2:
            return data[:start] + data[start:stop] * 2 + data[stop:]
        case 3:
            return data[:start] + piece + data[start:]
        case 4:
            return data[:start] + piece + data[stop:]
        case 5:
            return data[:start] + other[cut:]
        case 6:
            return data[:start] + value + data[start + width :]
        case 7:
            return data[:start] + value + data[start:]
        case _:
            flipped = bytes(
                byte ^ 1 << int(draw.integers(8)) for byte in data[start:stop]
            )
            return data[:start] + flipped[:1] + data[start + 1 :]


def _repacked(draw: np.random.Generator, data: bytes) -> bytes:
    """An archive with one member changed, and the checksums that go with it."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {info.filename: archive.read(info) for info in archive.infolist()}
    except Exception:
        return _changed(draw, data, data)
    for name in _some(draw, sorted(members)):
        for _ in range(1 << draw.integers(4)):
            members[name] = _changed(draw, members[name], members[name])
    return arrays.zipped(members)


def _some(draw: np.random.Generator, names: list[str]) -> Iterator[str]:
    if names:
        yield names[draw.integers(len(names))]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
