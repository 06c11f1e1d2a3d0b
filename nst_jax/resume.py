"""Going on later: what a checkpoint says of its run, and whether that is this one."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nst_jax import (
    checkpoint,
    chronicle,
    disk,
    flagfile,
    hosts,
    leaves,
    solve,
    stages,
)
from nst_jax.checkpoint import Checkpoint
from nst_jax.chronicle import Course
from nst_jax.config import Config, OutputConfig
from nst_jax.errors import RequestError

Shape = tuple[int, int]

# What --resume=extend may change.
_EXTENDED = frozenset({"steps", "scale_steps", "size", "scales"})

# Which process it is, and what the program changes where it does not write.
_OWN = frozenset({"process", "quiet", "overwrite"})


class Identity(NamedTuple):
    """What decides the numbers of a run, and what they were made with."""

    settings: Mapping[str, str]
    inputs: Mapping[str, str]  # what each file is for: its sha256
    made_with: Mapping[str, str]  # as `conditions.here` says


class Stood(NamedTuple):
    """Where a run stood at its checkpoint."""

    start: stages.Start | None  # None: no step was done
    step: int
    seconds: float
    course: Course
    resumed: list[int]  # the steps from which it went on


def identity(
    config: Config,
    files: Mapping[str, str],
    weights: str,
    made_with: Mapping[str, str],
) -> Identity:
    """What is compared between a checkpoint and the run that would go on from it.

    Args:
        config: all settings, resolved, but not fitted into this machine's memory.
        files: what each file is for, and its name and sha256.
        weights: their digest.
        made_with: as `conditions.here` says.
    """
    output = {field.name for field in dataclasses.fields(OutputConfig)}
    settings = {
        field.name: _said(field, value)
        for field, value in flagfile.settings(config)
        if flagfile.recorded(field) and field.name not in output
    }
    inputs = {role: said.rpartition(" ")[2] for role, said in files.items()}
    return Identity(settings, inputs | {"weights": weights}, made_with)


def asked(config: Config) -> dict[str, str]:
    """All settings by name, but those in which the processes of one run may differ."""
    return {
        field.name: _said(field, value)
        for field, value in flagfile.settings(config)
        if field.name not in _OWN
    }


def _said(field: dataclasses.Field[Any], value: Any) -> str:
    return flagfile.to_text(flagfile.changed(field, value, _any_file))


def continued(config: Config, found: Checkpoint | None) -> Config:
    """The settings with the history that the run has had, if memory has cut it."""
    moves = config.optimizer
    had = found.about["made_with"].get("history", "") if found else ""
    if not 0 < _count(had) < moves.history:
        return config
    shorter = dataclasses.replace(moves, history=_count(had))
    return dataclasses.replace(config, optimizer=shorter)


def _count(text: str) -> int:
    """The number that a checkpoint says; 0 if it is none."""
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _any_file(field: Any, path: str) -> str:
    """One word for all files, as their contents are compared, not their names."""
    del field, path
    return "a file"


def check(
    about: Mapping[str, Any], now: Identity, shape: Shape, *, extends: bool
) -> list[str]:
    """Raises unless the run may go on as this one; what is to be told of it.

    Args:
        about: what the checkpoint says.
        now: what this run is.
        shape: the rows and columns of its result.
        extends: whether it may have more steps, or be larger.
    """
    free = _EXTENDED if extends else frozenset[str]()
    if now.settings.get("history") == about["made_with"].get("history"):
        free |= {"history"}  # as the run itself says that it has had it
    pairs = (
        ("inputs", about["inputs"], now.inputs),
        ("settings", about["settings"], now.settings),
    )
    for what, before, after in pairs:
        found = list(checkpoint.differences(before, after, free))
        if found:
            is_more = not extends and _is_more(before, after)
            remedy = (
                "go on with --resume=extend"
                if is_more
                else f"give the same {what}, or another --checkpoint"
            )
            raise RequestError(
                f"the checkpoint is of another run: {'; '.join(found[:6])}; {remedy}"
            )
    if extends:
        _check_more(about, now, shape)
    others = list(
        checkpoint.differences(about["made_with"], now.made_with, frozenset())
    )
    if not others:
        return []
    return [f"it goes on, but not bit for bit: {'; '.join(others)}"]


def _is_more(before: Mapping[str, str], after: Mapping[str, str]) -> bool:
    """Whether all that differs is what may be extended."""
    return not list(checkpoint.differences(before, after, _EXTENDED))


def _check_more(about: Mapping[str, Any], now: Identity, shape: Shape) -> None:
    old = tuple(about["final"])
    if any(b < a for a, b in zip(old, shape, strict=True)):
        raise RequestError(
            f"--resume=extend makes a result larger than {old[1]}x{old[0]}, got "
            f"{shape[1]}x{shape[0]}; give a larger --size"
        )
    steps = _count(about["settings"].get("steps", "")), int(now.settings["steps"])
    if steps[1] < steps[0]:
        raise RequestError(
            f"--resume=extend needs --steps of at least {steps[0]}, those of the run "
            f"that goes on, got {steps[1]}"
        )


def stood(found: Checkpoint, made_with: Mapping[str, str]) -> Stood:
    """Where the run stood, for one that goes on under these conditions.

    Raises:
        RequestError: what it tells of its course cannot be read.
    """
    about = found.about
    # The names in a state begin with a dot.
    arrays = {name: each for name, each in found.arrays.items() if name[:1] == "."}
    height, width = about["shape"]
    place = solve.Place(*about["place"])
    had, have = (each.get("history") for each in (about["made_with"], made_with))
    start = stages.Start(
        place, (height, width), arrays, about["settled"], is_afresh=had != have
    )
    return Stood(
        start if arrays else None,
        about["step"],
        float(about["seconds"]),
        chronicle.restored(about, found.arrays) if arrays else chronicle.begun(),
        about["resumed"],
    )


class Told(NamedTuple):
    """What a checkpoint says besides its state."""

    who: Identity
    final: Shape  # of the result
    files: Sequence[str]  # that the run writes
    resumed: Sequence[int]


def first(folder: Path, told: Told) -> None:
    """Makes a folder a run's, before its first step: what it writes is its own."""
    checkpoint.clear(folder)
    checkpoint.write(
        folder, 0, Checkpoint(_about(told, None, told.final, 0, chronicle.begun()), {})
    )


def keeper(
    settings: OutputConfig, told: Told, warn: Callable[[str], None]
) -> Callable[..., None]:
    """What is called at each pause, and keeps a checkpoint where one is due.

    It takes the progress, the course so far, the seconds, and whether the run or a
    scale ends here. A checkpoint that cannot be written is told of, once.
    """
    folder = Path(settings.checkpoint)
    every, seconds = settings.checkpoint_steps(), settings.checkpoint_seconds()
    kept, failed = [(time.monotonic(), (0, 0))], list[str]()

    def keep(
        now: solve.Progress,
        course: Course,
        spent: float,
        *,
        ends: bool,
    ) -> None:
        since, last = kept[-1]
        stand = now.step, now.place.recoveries
        is_time = bool(hosts.first(time.monotonic() - since >= seconds))
        is_step = every > 0 and now.step % every == 0
        if stand == last or not now.is_finite or not (ends or is_time or is_step):
            return
        about = _about(told, now, now.shape, spent, course)
        arrays = {**chronicle.arrays(course), **leaves.named(now.bare())}
        trouble = ""
        try:
            if hosts.writes():
                checkpoint.write(folder, now.step, Checkpoint(about, arrays))
        except OSError as error:
            trouble = disk.reason(error)
        if trouble and not failed:
            failed.append(trouble)
            warn(
                f"the checkpoint after step {now.step} could not be written "
                f"({trouble}); the one before stays and the run goes on"
            )
        # All know it, as all gather the state for the next one.
        if hosts.first(bool(trouble)):
            stand = last  # the next pause at which one is due tries again
        kept[:] = [(time.monotonic(), stand)]

    return keep


def _about(
    told: Told,
    now: solve.Progress | None,
    shape: Sequence[int],
    seconds: float,
    course: Course,
) -> dict[str, Any]:
    return {
        **told.who._asdict(),
        "final": told.final,
        "files": list(told.files),
        "resumed": list(told.resumed),
        "step": now.step if now else 0,
        "place": now.place if now else solve.Place(),
        "settled": bool(now and now.halt == "settled"),
        "shape": list(shape),
        "seconds": seconds,
        **chronicle.facts(course),
    }
