"""What is there of a job: all of it, a part that may be replaced, or another's."""

import functools
import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from nst_jax import checkpoint, disk, flagfile
from nst_jax.config import Config
from nst_jax.many.entries import Entry, read_files

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


def found(entry: Entry, config: Config, statuses: Mapping[str, str]) -> Found:
    """What is there of a job.

    Args:
        entry: the job.
        config: its settings, resolved.
        statuses: what an earlier start said of each result.
    """
    if is_new(entry):
        return Found("new")
    about = _record(entry.files.record)
    if about is None or not os.path.lexists(entry.files.output):
        # Cut off before it could say anything, or the files are somebody else's.
        is_ours = statuses.get(entry.name) in ("running", "failed", "interrupted")
        return Found("begun" if is_ours or goes_on(entry) else "other")
    differs = next(_differences(about, config), "")
    if differs:
        return Found("other", differs)
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
    kinds = {"settings": dict, "inputs": dict, "warnings": list, "scales": list}
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
    hashes = {
        each.get("sha256")
        for each in about["inputs"].values()
        if isinstance(each, dict)
    }
    if hashes != {
        _hash(path) for name, path in read_files(config) if name != "weights"
    }:
        yield "other pictures"


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


@functools.lru_cache(maxsize=100_000)
def _hash(path: str) -> str:
    """The sha256 of a file; empty where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return ""
