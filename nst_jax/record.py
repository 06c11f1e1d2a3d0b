"""The files a run leaves: planned and checked before the work starts.

Nothing that is there is replaced unless that was asked for, and never one of the
pictures that the run reads. Knows no JAX, as the checks come before it is loaded.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from nst_jax import flagfile, images, inputs
from nst_jax.config import Config
from nst_jax.errors import RequestError


class Files(NamedTuple):
    """Where the files of a run go; None for those not asked for."""

    output: Path
    flags: Path
    metrics: Path | None
    preview: Path | None
    numbered: Mapping[int, Path]  # by step


def plan(config: Config) -> Files:
    """The files that a run will write."""
    settings = config.output
    output = Path(settings.output)
    if not output.name:
        raise RequestError(
            f"--output must be the name of a picture, got {settings.output!r}, a folder"
        )
    every, steps = settings.save_every, config.solve.steps
    kept = range(every, steps, every) if every else range(0)
    return Files(
        output=output,
        flags=output.with_suffix(".flags"),
        metrics=Path(settings.metrics) if settings.metrics else None,
        preview=Path(settings.preview) if settings.preview else None,
        numbered={
            step: output.with_name(f"{output.stem}_{step:06d}{output.suffix}")
            for step in kept
        },
    )


def check(files: Files, config: Config) -> None:
    """Raises unless every file can be written without harming one that is there."""
    settings = config.output
    pictures = [files.output, *files.numbered.values()]
    if files.preview:
        pictures.append(files.preview)
    for path in pictures:
        depth = 8 if path == files.preview else int(settings.bit_depth)
        images.check_output(path, overwrite=settings.overwrite, bit_depth=depth)
    texts = [path for path in (files.flags, files.metrics) if path]
    for path in texts:
        _check_text(path, settings.overwrite)
    _check_distinct([*pictures, *texts], config)


def comments(config: Config, facts: Mapping[str, str]) -> list[str]:
    """The lines that say what the settings were used on: names, hashes, facts."""
    found = [
        f"{name}: {path.name} sha256 {images.file_digest(path)}"
        for name, path in inputs.paths(config.inputs).items()
    ]
    return [*found, *(f"{name}: {fact}" for name, fact in facts.items())]


def write_flags(path: Path, config: Config, notes: list[str]) -> None:
    """Every setting, so that `--flagfile` repeats the run."""
    text = flagfile.dump(config, folders=True, comments=notes)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def _check_text(path: Path, overwrite: bool) -> None:
    if path.is_dir():
        raise RequestError(f"{str(path)!r} is a folder; give the name of a file")
    if path.exists() and not overwrite:
        raise RequestError(
            f"{str(path)!r} is there already; choose another name or allow --overwrite"
        )
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise RequestError(
            f"the folder {str(path.parent)!r} must exist and be writable; make it, or "
            f"choose another for {path.name!r}"
        )


def _check_distinct(outputs: list[Path], config: Config) -> None:
    taken = {
        path.resolve(): f"the {name} picture"
        for name, path in inputs.paths(config.inputs).items()
    }
    for path in outputs:
        where = path.resolve()
        if where in taken:
            raise RequestError(
                f"{str(path)!r} would be written over {taken[where]}; choose another "
                f"name"
            )
        taken[where] = "another file of this run"
