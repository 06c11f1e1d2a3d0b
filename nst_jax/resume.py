"""Going on later: what a checkpoint says of its run, and whether that is this one."""

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nst_jax import checkpoint, disk, flagfile, leaves, solve, stages
from nst_jax.checkpoint import Checkpoint
from nst_jax.config import Config, OutputConfig
from nst_jax.errors import RequestError

Row = dict[str, str]
Shape = tuple[int, int]

# What --resume=extend may change.
# A history may have been cut to fit into memory.
_EXTENDED = frozenset({"steps", "scale_steps", "size", "scales", "history"})
# Not the state's: its names begin with a dot.
_ROWS = "rows"


class Identity(NamedTuple):
    """What decides the numbers of a run, and what they were made with."""

    settings: Mapping[str, str]
    inputs: Mapping[str, str]  # what each file is for: its sha256
    made_with: Mapping[str, str]  # versions, device and cores


class Stood(NamedTuple):
    """Where a run stood at its checkpoint."""

    start: stages.Start | None  # None: no step was done
    step: int
    seconds: float
    rows: list[Row]
    recoveries: list[dict[str, Any]]
    resumed: list[int]  # the steps from which it went on


def identity(
    config: Config,
    files: Mapping[str, str],
    weights: str,
    made_with: Mapping[str, str],
) -> Identity:
    """What is compared between a checkpoint and the run that would go on from it.

    Args:
        config: all settings, resolved.
        files: what each file is for, and its name and sha256.
        weights: their digest.
        made_with: versions, device and cores.
    """
    output = {field.name for field in dataclasses.fields(OutputConfig)}
    settings = {
        field.name: flagfile.to_text(flagfile.changed(field, value, _any_file))
        for field, value in flagfile.settings(config)
        if flagfile.recorded(field) and field.name not in output
    }
    inputs = {role: said.rpartition(" ")[2] for role, said in files.items()}
    return Identity(settings, inputs | {"weights": weights}, made_with)


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
    said = about["settings"].get("steps", "")
    steps = int(said) if said.isdecimal() else 0, int(now.settings["steps"])
    if steps[1] < steps[0]:
        raise RequestError(
            f"--resume=extend needs --steps of at least {steps[0]}, those of the run "
            f"that goes on, got {steps[1]}"
        )


def stood(found: Checkpoint) -> Stood:
    """Where the run stood.

    Raises:
        RequestError: its metrics are none.
    """
    about = found.about
    arrays = {name: each for name, each in found.arrays.items() if name != _ROWS}
    height, width = about["shape"]
    place = solve.Place(*about["place"])
    start = stages.Start(place, (height, width), arrays, about["settled"])
    return Stood(
        start if arrays else None,
        about["step"],
        float(about["seconds"]),
        _rows(found) if arrays else [],
        about["recoveries"],
        about["resumed"],
    )


def _rows(found: Checkpoint) -> list[Row]:
    """The rows of the metrics up to there."""
    try:
        rows = json.loads(found.arrays[_ROWS].tobytes())
        made = [{str(name): str(text) for name, text in row.items()} for row in rows]
        for row in made:
            int(row["step"])
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise RequestError(
            "the checkpoint's metrics cannot be read "
            f"({type(error).__name__}); choose another --checkpoint, or allow "
            "--overwrite without --resume"
        ) from None
    return made


class Told(NamedTuple):
    """What a checkpoint says besides its state."""

    who: Identity
    final: Shape  # of the result
    files: Sequence[str]  # that the run writes
    resumed: Sequence[int]


def first(folder: Path, told: Told) -> None:
    """Makes a folder a run's, before its first step: what it writes is its own."""
    checkpoint.clear(folder)
    checkpoint.write(folder, 0, Checkpoint(_about(told, None, told.final, 0, []), {}))


def keeper(
    settings: OutputConfig, told: Told, warn: Callable[[str], None]
) -> Callable[..., None]:
    """What is called at each pause, and keeps a checkpoint where one is due.

    It takes the progress, the rows and recoveries so far, the seconds, and whether
    the run ends here. A checkpoint that cannot be written is told of, once.
    """
    folder = Path(settings.checkpoint)
    every, seconds = settings.checkpoint_steps(), settings.checkpoint_seconds()
    kept, failed = [(time.monotonic(), (0, 0))], list[str]()

    def keep(
        now: solve.Progress,
        rows: Sequence[Row],
        recoveries: Sequence[dict[str, Any]],
        spent: float,
        *,
        ends: bool,
    ) -> None:
        since, last = kept[-1]
        stand = now.step, now.place.recoveries
        is_time = time.monotonic() - since >= seconds
        is_step = every > 0 and now.step % every == 0
        if stand == last or not now.is_finite or not (ends or is_time or is_step):
            return
        about = _about(told, now, now.state.image.shape[:2], spent, recoveries)
        table = np.frombuffer(json.dumps(list(rows)).encode(), np.uint8)
        arrays = {_ROWS: table, **leaves.named(now.state)}
        try:
            checkpoint.write(folder, now.step, Checkpoint(about, arrays))
        except OSError as error:
            if not failed:
                failed.append(disk.reason(error))
                warn(
                    f"the checkpoint after step {now.step} could not be written "
                    f"({failed[0]}); the one before stays and the run goes on"
                )
            stand = last  # the next pause at which one is due tries again
        kept[:] = [(time.monotonic(), stand)]

    return keep


def _about(
    told: Told,
    now: solve.Progress | None,
    shape: Sequence[int],
    seconds: float,
    recoveries: Sequence[dict[str, Any]],
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
        "recoveries": list(recoveries),
    }
