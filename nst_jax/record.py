"""The files a run leaves: planned and checked before the work starts, kept at its end.

Nothing that is there is replaced unless that was asked for, and never a file that
the run reads. Knows no JAX, as the checks come before it is loaded.
"""

import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from nst_jax import disk, flagfile, images, locks
from nst_jax.config import Config
from nst_jax.errors import RequestError

# Seconds to wait for others that keep their files.
_PATIENCE = 30.0


class Files(NamedTuple):
    """Where the files of a run go; None for those not asked for."""

    output: Path
    flags: Path
    record: Path
    metrics: Path | None
    preview: Path | None
    report: Path | None
    save_every: int
    steps: int  # at all scales together

    def numbered(self, step: int) -> Path | None:
        """Where the picture after so many steps is kept, if it is."""
        if not self.save_every or step % self.save_every or not 0 < step < self.steps:
            return None
        output = self.output
        return output.with_name(f"{output.stem}_{step:06d}{output.suffix}")

    def single(self) -> list[Path]:
        """Those that are one file each."""
        here = (self.output, self.flags, self.record)
        return [*here, *filter(None, (self.metrics, self.preview, self.report))]


class Texts(NamedTuple):
    """The settings of a run as text, without the facts that its end will add."""

    inside: str | None  # for the picture
    beside: str


class Kept(NamedTuple):
    """Where the result and its settings are, and why not where they should be."""

    picture: Path
    flags: Path
    record: Path
    trouble: str


def plan(config: Config) -> Files:
    """The files that a run will write."""
    settings = config.output
    output = Path(settings.output)
    if not output.name:
        raise RequestError(
            f"--output must be the name of a picture, got {settings.output!r}, a folder"
        )
    return Files(
        output=output,
        flags=output.with_suffix(".flags"),
        record=output.with_suffix(".json"),
        metrics=Path(settings.metrics) if settings.metrics else None,
        preview=Path(settings.preview) if settings.preview else None,
        report=Path(settings.report) if settings.report else None,
        save_every=settings.save_every,
        steps=config.solve.steps,
    )


def check(
    files: Files,
    config: Config,
    sources: Sequence[str] = (),
    owned: frozenset[str] = frozenset(),
) -> None:
    """Raises unless every file can be written without harming one that is there.

    `sources` are files that settings were read from, `owned` those that the run wrote
    before it was cut off: they may be replaced.
    """

    def may(path: Path) -> bool:
        return config.output.overwrite or disk.whole(path) in owned

    if files.report and files.report.suffix.lower() not in (".html", ".htm"):
        raise RequestError(
            f"--report must end in .html, got {config.output.report!r}; it is a page"
        )
    depth = int(config.output.bit_depth)
    _check_distinct(files, [*_read(config, sources)])
    output, preview = files.output, files.preview
    images.check_output(output, overwrite=may(output), bit_depth=depth)
    if preview:
        images.check_output(preview, overwrite=may(preview), bit_depth=8)
    beside = {files.flags: "settings", files.record: "facts"}
    for path, what in beside.items():
        if os.path.lexists(path) and not may(path):
            raise RequestError(
                f"{str(path)!r}, where the {what} of {str(output)!r} go, exists "
                f"already; choose another name or allow --overwrite"
            )
    for each in (files.flags, files.record, files.metrics, files.report):
        if each:
            disk.check(each, overwrite=may(each))
    check_numbered(files, overwrite=may(output))


def check_numbered(files: Files, *, overwrite: bool) -> None:
    """Raises unless the pictures on the way can be written."""
    for path in _numbered_there(files):
        disk.check_name(path, overwrite=overwrite)


def check_shape(files: Files, shape: tuple[int, int]) -> None:
    """Raises unless the pictures' formats have room for so many rows and columns."""
    for path in (files.output, files.preview):
        if path:
            images.check_shape(path, shape)


def texts(config: Config) -> Texts:
    """The settings as text; before the first step, as it may not be possible."""
    inside = None
    if not config.output.no_metadata:
        inside = flagfile.dump(config, folders=False)
    return Texts(inside, flagfile.dump(config, folders=True))


def with_facts(text: str, facts: Mapping[str, str]) -> str:
    """The settings under comments that say what they were used on."""
    rows = [f"{name}: {fact}" for name, fact in facts.items()]
    return flagfile.comments(rows) + text


def keep(
    files: Files, picture: bytes, settings: str, account: str, *, overwrite: bool
) -> Kept:
    """Writes the result, its settings and its record, elsewhere if need be; says where.

    Without `overwrite` what has their names by now stays, and they get others. Where
    the folder fails, they go to the current one, then to that of temporary files. Of
    two runs to the same names the files of one stay, all three.

    Raises:
        OSError: all of these failed.
    """
    text = settings.encode("utf-8", "surrogateescape")
    failure: OSError | None = None
    for folder in (files.output.parent, Path(), None):
        replacing = overwrite and not failure
        try:
            where = Path(tempfile.gettempdir()) if folder is None else folder
            with _alone(where):
                output = _keep(where / files.output.name, picture, replacing)
                flags = _keep(output.with_suffix(".flags"), text, replacing)
                told = account.encode("utf-8", "surrogateescape")
                record = _keep(output.with_suffix(".json"), told, replacing)
        except OSError as error:
            failure = failure or error
            continue
        names = [output, flags, record]
        return Kept(output, flags, record, _trouble(files, names, failure))
    raise failure or AssertionError("there are folders to try")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """A block in which no other run keeps its files there, if locks can be had."""
    with ExitStack() as stack:
        with suppress(OSError):
            stack.enter_context(locks.held(folder, _PATIENCE))
        yield


def _keep(path: Path, data: bytes, overwrite: bool) -> Path:
    if not overwrite:
        return disk.write_free(path, data)
    disk.write(path, data)
    return path


def _trouble(files: Files, names: list[Path], failure: OSError | None) -> str:
    name = repr(str(files.output))
    if failure:
        return f"{name} could not be written ({disk.reason(failure)})"
    if names != [files.output, files.flags, files.record]:
        return f"another file has the name {name}, or that of its settings, and stays"
    return ""


def _numbered_there(files: Files) -> list[Path]:
    """Files with the name of a picture that this run would keep on its way."""
    every, folder = files.save_every, files.output.parent
    last = files.numbered((files.steps - 1) // every * every) if every else None
    if last is None:
        return []
    disk.check_name(last, overwrite=True)  # the longest name
    try:
        names = os.listdir(folder)
    except OSError:  # it may be written but not read
        return []
    return [folder / name for name in names if _has_number(files, name)]


def _has_number(files: Files, name: str) -> bool:
    output = files.output
    form = f"{re.escape(output.stem)}_([0-9]{{6,18}}){re.escape(output.suffix)}"
    match = re.fullmatch(form, name)
    found = files.numbered(int(match[1])) if match else None
    return found is not None and found.name == name


def _is_numbered(files: Files, path: Path) -> bool:
    folder = files.output.parent
    return _has_number(files, path.name) and path.parent.resolve() == folder.resolve()


def _read(config: Config, sources: Sequence[str]) -> Iterator[tuple[Path, str]]:
    """Every file that the run reads, and what it is."""
    for field, value in flagfile.settings(config):
        for path in value if isinstance(value, tuple) else (value,):
            # A known network's name would do no harm here.
            if field.metadata["file"] == "read" and path not in (
                "",
                *field.metadata["words"],
            ):
                yield Path(path), f"the file of --{field.name}"
    for source in sources:
        yield Path(source), "a file that settings come from"


def _check_distinct(files: Files, taken: list[tuple[Path, str]]) -> None:
    for path in files.single():
        for other, what in taken:
            if disk.are_one(path, other):
                raise _over(path, what)
        taken.append((path, "another file of this run"))
    for path, what in taken:
        if _is_numbered(files, path) or _is_numbered(files, path.resolve()):
            raise _over(path, f"{what}, as --save_every counts")


def _over(path: Path, what: str) -> RequestError:
    return RequestError(
        f"{str(path)!r} would be written over {what}; choose another name"
    )
