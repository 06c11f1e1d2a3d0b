"""Whose a folder of checkpoints is: one run's at a time, and no other's files.

Knows no JAX, as a folder is looked into before it is loaded.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from nst_jax import checkpoint, disk, locks
from nst_jax.config import OutputConfig
from nst_jax.errors import RequestError

# Another one than that of results, which may come into the same folder.
LOCK = ".nst_jax.checkpoints.lock"


@contextlib.contextmanager
def held(config: OutputConfig) -> Iterator[list[str]]:
    """A block in which a run has the folder of its checkpoints; what to tell of that.

    A folder that is not there yet is made, and goes again if nothing came into it.

    Raises:
        RequestError: another run has it, or checkpoints cannot be kept there.
    """
    folder = Path(config.checkpoint)
    if not config.checkpoint or config.dry_run:
        yield []
        return
    _check_place(folder)
    with contextlib.ExitStack() as stack:
        _make(folder, stack)
        troubles = []
        try:
            is_ours = stack.enter_context(locks.held(folder, name=LOCK))
        except OSError as error:
            is_ours = True
            troubles.append(
                f"--checkpoint={folder} cannot be locked ({disk.reason(error)}): see "
                "to it that no other run uses it meanwhile"
            )
        if not is_ours:
            raise RequestError(
                f"another run is using --checkpoint={folder}; wait until it ends, or "
                "choose another folder"
            )
        yield troubles


def _make(folder: Path, stack: contextlib.ExitStack) -> None:
    """Makes the folder, which goes again if nothing is in it in the end."""
    try:
        folder.mkdir()
    except FileExistsError:
        return
    except OSError as error:
        raise _useless(folder, error) from error
    stack.callback(_forsake, folder)


def _forsake(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def _check_place(folder: Path) -> None:
    """Raises unless files can be written there; leaves nothing behind."""
    if os.path.lexists(folder) and not folder.is_dir():
        raise RequestError(
            f"--checkpoint must be a folder, got {str(folder)!r}, a file or a link to "
            "nowhere"
        )
    # The first checkpoint would make the folder.
    there = folder if folder.is_dir() else folder.parent
    if not there.is_dir():
        raise RequestError(
            f"the folder {str(there)!r} of --checkpoint={folder} does not exist; make "
            f"it, or choose another"
        )
    try:
        disk.probe(there)
    except OSError as error:
        raise _useless(folder, error) from error


def _useless(folder: Path, error: OSError) -> RequestError:
    return RequestError(
        f"--checkpoint={folder} cannot be written ({disk.reason(error)}); choose "
        f"another folder"
    )


def looked_into(config: OutputConfig) -> checkpoint.Found:
    """What the folder of a run's checkpoints holds for it, if it goes on from one.

    Raises:
        RequestError: they cannot be kept there.
    """
    if not config.checkpoint:
        return checkpoint.Found(None, [])
    folder, resumes = Path(config.checkpoint), config.resume != "none"
    _check_place(folder)
    if checkpoint.files(folder) and not (resumes or config.overwrite):
        raise RequestError(
            f"{str(folder)!r} holds checkpoints of a run; go on from them with "
            "--resume, allow --overwrite, or choose another --checkpoint"
        )
    if not resumes:
        return checkpoint.Found(None, [])
    found = checkpoint.find(folder)
    if found.checkpoint:
        return found
    if checkpoint.files(folder) and not config.overwrite:
        # To start anew deletes them, and what hinders may pass: a share, a version.
        raise RequestError(
            f"{found.troubles[0]}, nor any other in {str(folder)!r}; mend that, allow "
            f"--overwrite to start anew, or choose another --checkpoint"
        )
    none = f"no checkpoint to go on from in {str(folder)!r}: it starts anew"
    return found._replace(troubles=[*found.troubles, none])


def owned(found: checkpoint.Found) -> frozenset[str]:
    """The files that the run of a checkpoint writes, which may be there by now."""
    about = found.checkpoint.about if found.checkpoint else {}
    files = about.get("files")
    return frozenset(map(str, files)) if isinstance(files, list) else frozenset()


def clear_halves(folder: Path) -> None:
    """Deletes what a kill has left of a checkpoint that was being written."""
    for path in folder.glob(disk.LEFTOVERS):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
