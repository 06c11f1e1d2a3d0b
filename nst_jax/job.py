"""One job of the command line, from pictures in memory to files on disk."""

import dataclasses
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from nst_jax import (
    __version__,
    devices,
    flagfile,
    images,
    memory,
    metrics,
    optimizers,
    pretrained,
    progress,
    record,
    solve,
    transfer,
)
from nst_jax.arrays import Weights
from nst_jax.config import Config
from nst_jax.inputs import Inputs
from nst_jax.pretrained.known import DEFAULTS


class Ending(NamedTuple):
    """How a run ended, and with what."""

    last: solve.Progress | None
    signal: int  # the one that interrupted it, or 0
    fault: str  # what broke while it ran, or ""


def run(config: Config, files: record.Files, pictures: Inputs) -> int:
    """Optimises and writes; the exit status."""
    device = devices.pick(config.output.device)
    config = resolve(config, device)
    _say(config, _first_line(config, pictures, device))
    warning = devices.warning(device)
    if warning:
        print(f"nst-jax: {warning}", file=sys.stderr)
    with jax.default_device(device):
        if config.output.dry_run:
            print(_plan(config, pictures, files))
            return 0
        weights = pretrained.load(
            config.network.network,
            config.network.weights,
            source=config.network.weights_source,
            offline=config.network.offline,
            quiet=config.output.quiet,
            seed=config.inputs.seed,
        )
        started = time.monotonic()
        ending = _optimise(config, files, pictures, weights)
    if ending.last:
        _write(config, files, pictures, weights, ending.last)
    return _conclude(config, files, ending, time.monotonic() - started)


def resolve(config: Config, device: jax.Device) -> Config:
    """The settings with everything that was left to the program filled in."""
    network, moves = config.network, config.optimizer
    return dataclasses.replace(
        config,
        network=dataclasses.replace(
            network,
            precision=devices.precision(network.precision, device),
            weights=DEFAULTS[network.network]
            if network.weights == "auto"
            else network.weights,
        ),
        optimizer=dataclasses.replace(
            moves,
            learning_rate=optimizers.learning_rate(moves),
            box=optimizers.box(moves),
        ),
    )


def _optimise(
    config: Config, files: record.Files, pictures: Inputs, weights: Weights
) -> Ending:
    settings, last = config.output, None
    pace = progress.pace(
        lambda step: progress.until(
            step,
            settings.save_every,
            settings.preview_every if files.preview else 0,
        )
    )
    steps = transfer.steps(
        pictures.content,
        pictures.styles,
        weights,
        config,
        initial=pictures.initial,
        pace=pace,
    )
    with ExitStack() as stack:
        stopped = stack.enter_context(progress.interruptible())
        watch = progress.watch(config.solve.steps, quiet=settings.quiet)
        stack.callback(watch.close)
        leave = _leaver(config, files, pictures, stack)
        try:
            for now in steps:
                # On the host, so that it is there if the device fails.
                last = now._replace(image=np.asarray(now.image))
                watch.show(now.step, now.value)
                leave(last)
                if stopped():
                    break
        except (jax.errors.JaxRuntimeError, MemoryError, OSError) as error:
            return Ending(last, 0, _fault(error))
        return Ending(last, stopped(), "")


def _leaver(
    config: Config, files: record.Files, pictures: Inputs, stack: ExitStack
) -> Callable[[solve.Progress], None]:
    """What is done at each pause: a row of metrics, a preview, a numbered picture."""
    started = time.monotonic()
    table = (
        stack.enter_context(files.metrics.open("w", encoding="utf-8", newline=""))
        if files.metrics
        else None
    )

    def leave(now: solve.Progress) -> None:
        if table and now.terms:
            seconds = time.monotonic() - started
            row = metrics.row(now.step, seconds, now.terms)
            metrics.write(table, row, first=now.step == 0)
        if files.preview and now.step % config.output.preview_every == 0:
            _save(files.preview, config, pictures, now, bit_depth=8, settings=None)
        if now.step in files.numbered:
            _save(files.numbered[now.step], config, pictures, now, settings=None)

    return leave


def _save(
    path: Path,
    config: Config,
    pictures: Inputs,
    now: solve.Progress,
    *,
    settings: str | None,
    bit_depth: int | None = None,
) -> None:
    images.write(
        path,
        np.asarray(now.image),
        alpha=pictures.alpha,
        bit_depth=bit_depth or int(config.output.bit_depth),
        quality=config.output.quality,
        settings=settings,
    )


def _write(
    config: Config,
    files: record.Files,
    pictures: Inputs,
    weights: Weights,
    last: solve.Progress,
) -> None:
    """The result and its settings."""
    notes = record.comments(config, _facts(weights, last))
    inside = flagfile.dump(config, folders=False, comments=notes)
    kept = None if config.output.no_metadata else inside
    _save(files.output, config, pictures, last, settings=kept)
    record.write_flags(files.flags, config, notes)


def _facts(weights: Weights, last: solve.Progress) -> Mapping[str, str]:
    return {
        "weights": f"{weights.name} sha256 {weights.digest}",
        "made by": f"nst-jax {__version__}, jax {jax.__version__}",
        "steps done": str(last.step),
    }


def _conclude(
    config: Config, files: record.Files, ending: Ending, seconds: float
) -> int:
    """Says how it ended; the exit status."""
    last = ending.last
    if last is None:
        print(f"nst-jax: {ending.fault}; nothing was written", file=sys.stderr)
        return 1
    kept = f"the picture after step {last.step} is in {str(files.output)!r}"
    if ending.fault:
        print(f"nst-jax: {ending.fault}; {kept}", file=sys.stderr)
        return 1
    if not last.is_finite:
        print(
            f"nst-jax: the loss stopped being finite after step {last.step}; {kept}; "
            f"try a smaller --learning_rate or --precision=float32",
            file=sys.stderr,
        )
        return 1
    if ending.signal:
        name = signal.Signals(ending.signal).name
        print(f"nst-jax: interrupted ({name}); {kept}", file=sys.stderr)
        return 128 + ending.signal
    _say(
        config,
        f"{files.output}: {last.step} steps in {seconds:.1f} s, loss {last.value:.4g}; "
        f"settings in {files.flags}",
    )
    return 0


def _fault(error: Exception) -> str:
    text = str(error).partition("\n")[0]
    if "RESOURCE_EXHAUSTED" in text or isinstance(error, MemoryError):
        return (
            "out of memory; try a smaller --size, a smaller --history or "
            "--optimizer=adam, and see --dry_run"
        )
    if not isinstance(error, OSError):
        traceback.print_exception(error)
    return f"it broke while running ({text or type(error).__name__})"


def _first_line(config: Config, pictures: Inputs, device: jax.Device) -> str:
    rows, columns, _ = pictures.content.shape
    network = config.network
    weights = (
        "random weights, for tests and timing only"
        if network.weights == "random"
        else network.weights
    )
    steps = config.solve.steps
    return (
        f"{devices.describe(device)}, {network.precision}, {network.network} "
        f"({weights}), {columns}x{rows}, {steps} step{'s' * (steps != 1)} of "
        f"{config.optimizer.optimizer}"
    )


def _plan(config: Config, pictures: Inputs, files: record.Files) -> str:
    """What a dry run prints after the first line."""
    shapes = [picture.shape[:2] for picture in pictures.styles]
    needed = memory.estimate(pictures.content.shape[:2], shapes, config)
    peak = f"about {needed / 2**20:.0f} MiB" if needed else "unknown here"
    sizes = ", ".join(f"{columns}x{rows}" for rows, columns in shapes)
    settings = config.objective
    return "\n".join(
        [
            f"style at {sizes}; first image: {config.inputs.init}",
            f"content layers {' '.join(settings.content_layers)}",
            f"style layers {' '.join(settings.style_layers)}",
            f"memory of the device: {peak}",
            f"would write {files.output} and {files.flags}; wrote nothing",
        ]
    )


def _say(config: Config, line: str) -> None:
    if not config.output.quiet:
        print(line, flush=True)
