"""The folders that results go to, made before anything else is written."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from nst_jax import disk
from nst_jax.errors import RequestError
from nst_jax.many.entries import Entry


@contextlib.contextmanager
def made(entries: Sequence[Entry], folder: Path) -> Iterator[Callable[[], None]]:
    """A block in which the folders of all results are there; what makes them stay.

    Raises:
        RequestError: they cannot be made.
    """
    _check_parent(folder)
    wanted = {folder, *(entry.files.output.parent for entry in entries)}
    for entry in entries:
        if entry.config.output.checkpoint:
            wanted.add(Path(entry.config.output.checkpoint).parent)
    fresh: list[Path] = []
    try:
        for each in sorted(wanted):
            _make(each, fresh)
        yield fresh.clear
    finally:
        for each in reversed(fresh):
            with contextlib.suppress(OSError):
                each.rmdir()


def _check_parent(folder: Path) -> None:
    if os.path.lexists(folder) and not folder.is_dir():
        raise RequestError(
            f"--output must be a folder where there are many jobs, got {str(folder)!r},"
            " a file"
        )
    if not folder.parent.is_dir():
        raise RequestError(
            f"the folder {str(folder.parent)!r} of --output={str(folder)!r} does not "
            "exist; make it, or choose another"
        )


def _make(folder: Path, fresh: list[Path]) -> None:
    try:
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        for each in reversed(missing):
            each.mkdir()
            fresh.append(each)
        if not folder.is_dir():
            raise NotADirectoryError(0, "it is a file")
    except (OSError, ValueError) as error:
        raise RequestError(
            f"the folder {str(folder)!r} cannot be made ({disk.reason(error)}); choose "
            "another --output"
        ) from None
