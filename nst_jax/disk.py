"""Files written whole or not at all, and the question whether they can be.

A file is written under a name that nobody uses, in the folder where it belongs, and
takes its own name at the end, in one step. Knows nothing of what is in the files.
"""

import itertools
import os
import secrets
from pathlib import Path

from nst_jax.errors import RequestError

# What a process that was killed may leave.
LEFTOVERS = ".nst_jax-*.tmp"


def write(path: Path, data: bytes, *, overwrite: bool = True) -> None:
    """Puts a whole new file there.

    Raises:
        FileExistsError: without `overwrite`, something has that name.
        OSError: anything else that disks and folders do.
    """
    fresh = _beside(path)
    try:
        with fresh.open("xb") as file:
            file.write(data)
            file.flush()
            # The name may reach the disk before the bytes do; a power cut would then
            # leave a file of the right size, full of zeros.
            os.fsync(file.fileno())
        if overwrite:
            fresh.replace(path)
        else:
            _claim(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def write_free(path: Path, data: bytes) -> Path:
    """The name it was written to: the path, or the first free one like `a-1.png`."""
    for number in itertools.count():
        name = f"{path.stem}-{number}{path.suffix}" if number else path.name
        try:
            write(path.with_name(name), data, overwrite=False)
        except FileExistsError:
            continue
        return path.with_name(name)
    raise AssertionError("numbers do not end")


def check(path: Path, *, overwrite: bool) -> None:
    """Raises RequestError if `write` could not write there; leaves nothing behind."""
    check_name(path, overwrite=overwrite)
    try:
        probe(path.parent)
    except OSError as error:
        raise _impossible(path, error) from error


def check_name(path: Path, *, overwrite: bool) -> None:
    """Raises RequestError if what is there, or is not, forbids that name."""
    folder, name = path.parent, repr(str(path))
    try:
        if not folder.is_dir():
            raise RequestError(
                f"the folder {str(folder)!r} of {path.name!r} does not exist; make it, "
                "or choose another"
            )
        os.lstat(path)  # fails where the name is too long, which `exists` may not
        if path.is_dir():
            raise RequestError(f"{name} is a folder; give the name of a file")
        if path.exists() and not path.is_file():
            raise RequestError(f"{name} is not a regular file; choose another")
    except FileNotFoundError:
        return
    except RequestError:
        raise
    except (OSError, ValueError) as error:
        raise _impossible(path, error) from error
    if not overwrite:
        raise RequestError(
            f"{name} exists already; choose another name or allow --overwrite"
        )


def probe(folder: Path) -> None:
    """Raises OSError unless new files can be made in the folder."""
    # The only answer that is true on every system; os.access is not.
    fresh = _beside(folder / "any")
    fresh.touch(exist_ok=False)
    fresh.unlink()


def reason(error: Exception) -> str:
    """Why a call of the system failed, in its own words."""
    return getattr(error, "strerror", None) or str(error)


def _impossible(path: Path, error: Exception) -> RequestError:
    return RequestError(
        f"{str(path)!r} cannot be written ({reason(error)}); choose another file or "
        "folder"
    )


def _claim(fresh: Path, path: Path) -> None:
    """Gives the file its name unless something has it."""
    if os.name == "nt":
        fresh.rename(path)  # which refuses to replace, there
        return
    try:
        os.link(fresh, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        path.touch(exist_ok=False)
        fresh.replace(path)


def _beside(path: Path) -> Path:
    """A name in the same folder that nobody uses; short, as the path may be long."""
    return path.parent / LEFTOVERS.replace("*", secrets.token_hex(8))


def whole(path: Path) -> str:
    """A name that means the same file from everywhere."""
    return os.path.realpath(path)


def are_one(path: Path, other: Path) -> bool:
    """Whether two names mean one file; on some disks capitals do not matter."""
    try:
        return os.path.samefile(path, other)
    except (OSError, ValueError):  # one of them is not there
        one, two = (os.path.normcase(each.resolve()) for each in (path, other))
        return one == two
