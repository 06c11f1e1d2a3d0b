"""What is there of a job: all of it, a part that may be replaced, or another's."""

import functools
import hashlib
import json
import math
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from nst_jax import areas, checkpoint, disk, flagfile
from nst_jax.config import Config
from nst_jax.many.entries import Entry

# Beyond this a record is none of ours.
_LONGEST = 2**22
State = Literal["new", "done", "begun", "other"]


class Found(NamedTuple):
    """What is there of a job, and what differs from it where that is another's."""

    state: State
    differs: str = ""
    steps: int = 0  # that were done
    loss: float = math.nan


def is_new(entry: Entry) -> bool:
    """Whether nothing of the job is there."""
    return not any(map(os.path.lexists, entry.files.single())) and not goes_on(entry)


def found(entry: Entry, config: Config, begun: Collection[str]) -> Found:
    """What is there of a job.

    Args:
        entry: the job.
        config: its settings, resolved.
        begun: results of which an earlier start has said that it may have left a part.

    Raises:
        RequestError: its weights cannot be read.
    """
    if is_new(entry):
        return Found("new")
    about = _record(entry.files.record)
    if about is None or not os.path.lexists(entry.files.output):
        # Cut off before it could say anything, or the files are somebody else's.
        is_ours = entry.name in begun or goes_on(entry)
        return Found("begun" if is_ours else "other")
    differs = next(_differences(about, config), "")
    if differs:
        return Found("other", differs)
    if _hash(entry.files.output) != about["picture"].get("sha256"):
        # A kill between the two, or somebody has painted on it.
        if entry.name in begun:
            return Found("begun")
        return Found("other", "the picture is not the one that was recorded")
    state: State = "done" if _is_finished(about, config) else "begun"
    return Found(state, steps=about["steps"], loss=_loss(about))


def owned(entry: Entry) -> frozenset[str]:
    """All files of a job, by names that mean the same from everywhere."""
    return frozenset(map(disk.whole, entry.files.single()))


def goes_on(entry: Entry) -> bool:
    """Whether there is a checkpoint of the job."""
    settings = entry.config.output
    folder = Path(settings.checkpoint) if settings.checkpoint else None
    return folder is not None and bool(checkpoint.files(folder))


def _record(path: Path) -> dict[str, Any] | None:
    """What a run has written about itself, if that is what the file is."""
    try:
        if not path.is_file() or path.stat().st_size > _LONGEST:
            return None
        about = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    kinds = {
        **dict.fromkeys(("settings", "inputs", "network", "picture"), dict),
        **dict.fromkeys(("warnings", "scales"), list),
    }
    if not isinstance(about, dict):
        return None
    fits = all(isinstance(about.get(name), kind) for name, kind in kinds.items())
    return about if fits and isinstance(about.get("steps"), int) else None


def _differences(about: Mapping[str, Any], config: Config) -> Iterator[str]:
    """Settings and inputs that are not those of the record."""
    before = about["settings"]
    for field, value in flagfile.settings(config):
        if not flagfile.recorded(field):
            continue
        then = before.get(field.name, field.default)
        then = tuple(then) if isinstance(then, list) else then
        old, new = (_comparable(field, each) for each in (then, value))
        # A history may have been shortened to fit into memory.
        is_shorter = field.name == "history" and isinstance(then, int) and then < value
        if old != new and not is_shorter:
            yield f"{field.name}={old} then, {new} now"
    inputs = {
        role: each.get("sha256")
        for role, each in about["inputs"].items()
        if isinstance(each, dict)
    }
    if inputs != {role: _hash(path) for role, path in _pictures(config)}:
        yield "other pictures"
    file = _weights(config)
    if file and about["network"].get("sha256") != _digest(file, _stamp(file)):
        yield "other weights"


def _pictures(config: Config) -> Iterator[tuple[str, Path]]:
    """The files of a job but its weights: what each is for, as a record names it."""
    for field, value in flagfile.settings(config):
        if field.metadata["file"] != "read" or field.name == "weights":
            continue
        paths = value if isinstance(value, tuple) else (value,)
        for index, path in enumerate(paths):
            if flagfile.is_path(field, path):
                yield areas.numbered(field.name, index, len(paths)), Path(path)


def _weights(config: Config) -> Path | None:
    """The user's own file of weights, whose name says nothing of what is in it."""
    from nst_jax.pretrained import known, places

    name = config.network.weights
    if name == "random":
        return None
    return places.named_file() if name in known.KNOWN else Path(name)


def _loss(about: Mapping[str, Any]) -> float:
    terms = about.get("terms")
    total = terms.get("total") if isinstance(terms, dict) else None
    return float(total) if isinstance(total, int | float) else math.nan


def _comparable(field: Any, value: Any) -> str:
    """The setting as text; all files are one, as their contents are compared."""
    try:
        named = flagfile.changed(field, value, lambda field, path: "a file")
        return flagfile.to_text(named)
    except (TypeError, ValueError, AttributeError):  # what stands in a record
        return "something else"


def _is_finished(about: Mapping[str, Any], config: Config) -> bool:
    """Whether it came to its end, by its steps or by its own rules."""
    last = about["scales"][-1] if about["scales"] else {}
    ended = last.get("ended") if isinstance(last, dict) else ""
    is_whole = about["steps"] >= config.solve.steps or ended in ("settled", "time")
    return is_whole and not about["warnings"]


def _hash(path: Path) -> str:
    """The sha256 of a file; empty where it cannot be read."""
    return _hashed(path, _stamp(path))


def _stamp(path: Path) -> tuple[int, int]:
    """What changes whenever the file does."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return 0, 0
    return found.st_mtime_ns, found.st_size


@functools.lru_cache(maxsize=100)
def _digest(path: Path, stamp: tuple[int, int]) -> str:
    """That of the network in a file, as records have it."""
    from nst_jax.pretrained import convert

    del stamp
    return convert.read(path).digest


@functools.lru_cache(maxsize=100_000)
def _hashed(path: Path, stamp: tuple[int, int]) -> str:
    del stamp
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return ""
