"""The folder of a study: whose it is, and what lies where.

It is made when nothing can refuse the request any more.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from nst_jax import disk, flagfile, inputs
from nst_jax.config import Config
from nst_jax.errors import RequestError
from studying.grids import Trial

_IDENTITY = "study.json"
# They say how much is done, not what: with others the folder's results still hold.
_FREE = ("--steps=", "--log_every=", "--scales=", "--bit_depth=", "--quality=")


class Folder(NamedTuple):
    """Where everything lies."""

    path: Path

    def trial(self, trial: Trial) -> Path:
        """The file with what the trial has found."""
        return self.path / "trials" / f"{trial.key}.npz"


def usable(name: str) -> Folder:
    """The folder, if it can be one of a study; it is not made yet."""
    path = Path(name)
    try:
        disk.probe(path if os.path.lexists(path) else path.parent)
    except OSError as error:
        raise _unusable(path, error) from None
    return Folder(path)


def _unusable(path: Path, error: OSError) -> RequestError:
    return RequestError(
        f"--output must be a folder that can be written, got {str(path)!r} "
        f"({disk.reason(error)}); choose another"
    )


def identity(config: Config, given: inputs.Inputs) -> dict[str, str]:
    """The settings and pictures that a folder belongs to."""
    rows = flagfile.lines(flagfile.dump(config, folders=False))
    now = {name: text for name, _, text in (row.partition("=") for row in rows)}
    now = {name: text for name, text in now.items() if f"{name}=" not in _FREE}
    return {**now, **given.files}


def check(folder: Folder, now: Mapping[str, str], usual: Mapping[str, str]) -> None:
    """Refuses a folder of other settings or pictures.

    An older version may have had fewer settings: the others were then as `usual`.
    """
    path = folder.path / _IDENTITY
    if not path.exists():
        return
    try:
        before = dict(json.loads(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise RequestError(
            f"{str(path)!r} must say what the study of that folder is, and cannot be "
            f"read ({disk.reason(error)}); choose another folder"
        ) from None
    before = {**usual, **before}
    for name in (name for name in now if name in before):
        if before[name] != now[name]:
            raise RequestError(
                f"{str(folder.path)!r} holds a study of other settings: there {name} "
                f"is {before[name]!r}, here {now[name]!r}; choose another folder"
            )


def claim(folder: Folder, now: Mapping[str, str]) -> None:
    """Makes the folder, and makes it that of these settings and pictures."""
    path = folder.path / _IDENTITY
    try:
        (folder.path / "trials").mkdir(parents=True, exist_ok=True)
        if not path.exists():
            disk.write(path, json.dumps(now, indent=1).encode())
    except OSError as error:
        raise _unusable(folder.path, error) from None
