"""Which optimiser, which rate, how many steps, which loss, which network?

    python scripts/study.py --content=PHOTO --style=PAINTING --output=FOLDER

Runs a grid of trials on one pair of pictures and leaves index.html, study.csv and a
picture for each cell in the folder. What is there already is not computed again: after
an interruption, or with more grids, the same command goes on. docs/study.md has what
it found.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from studying import folder as folders
from studying import grids, store
from studying.folder import Folder
from studying.grids import StudyConfig, Trial
from studying.store import Found
from studying.watch import watch

from nst_jax import flagfile, flags, inputs, progress, report, signals, start, usage
from nst_jax.config import Config
from nst_jax.errors import RequestError

if TYPE_CHECKING:
    import jax

_KEPT_EVERY = 60.0  # seconds
# Of a run's flags, those that a study has no use for.
_FOREIGN = (
    *("scales", "scale_steps", "scale_filter", "keep", "average_decay", "log_every"),
    *("overwrite", "bit_depth", "quality", "no_metadata", "metrics", "report"),
    *("preview", "preview_every", "save_every", "dry_run", "balance", "strength"),
)
# One scale, and weights that are the same for all.
_FIXED = (("scales", "none"), ("balance", "none"), ("strength", -1.0))


def main(argv: Sequence[str]) -> int:
    """Does what the arguments ask for; the exit status."""
    return start.answered(lambda: _main(argv))


def _main(argv: Sequence[str]) -> int:
    program = flags.Program(
        {"content": "PHOTO", "style": "PAINTING", "output": "FOLDER"},
        _help,
        StudyConfig,
    )
    request = flags.parse(
        _with_base(argv), read_settings=start.read_settings, program=program
    )
    if request.answer:
        progress.say(request.answer)
        return 0
    for name in _FOREIGN:
        if name in request.given:
            raise RequestError(f"--{name} is not for a study; leave it out")
    report.check()
    given = inputs.read(request.config)
    folder = folders.usable(request.config.output.output)
    start.prepare_jax(request.config.output.device)
    return _run(request, folder, given)


def _help() -> str:
    rows = [usage.described(field) for field in dataclasses.fields(StudyConfig)]
    return "\n".join(
        [
            f"{(__doc__ or '').strip()}\n",
            *rows,
            usage.entry("--size=N", "Long side of the pictures (default 256)."),
            usage.entry(
                "--steps=N", "Steps of losses, networks and pooling (default 250)."
            ),
            "\nEvery setting of a run is one here, but for those of its files and",
            "scales: python -m nst_jax.run --help explains them. The start is",
            "--preset=optimizer-study, unless another is given.",
        ]
    )


def _with_base(argv: Sequence[str]) -> list[str]:
    """The arguments after the student report's settings, or another start."""
    own = [each for chunk in flagfile.expand(argv) for each in chunk.arguments]
    starts = any(each.startswith(("--from", "-from")) for each in own)
    base = [] if starts else ["--preset=optimizer-study"]
    return [*base, "--size=256", *argv]


def _base() -> Config:
    """The settings of a study that nobody has changed."""
    program = flags.Program({}, _help)
    return flags.parse(_with_base([]), read_settings=str, program=program).config


def _run(request: flags.Request, folder: Folder, given: inputs.Inputs) -> int:
    import jax
    from studying import cells, sheet, work

    from nst_jax import devices, job, quality

    quality.check()
    own = cast(StudyConfig, request.own)
    device = devices.pick(request.config.output.device)
    config, base = (
        job.resolve(grids.settings(each, _FIXED), device)
        for each in (request.config, _base())
    )
    quiet = config.output.quiet
    identity = folders.identity(config, given)
    folders.check(folder, identity, folders.identity(base, given))
    found = grids.grids(config, own, request.given)
    with jax.default_device(device), signals.interruptible() as stopped:
        work.weights(config.network, config.inputs.seed)
        # Whatever refuses the request has done so by now.
        folders.claim(folder, identity)
        turns = grids.turns(found) if own.compute else []
        tell = _watch(turns, folder, given.shape, quiet=quiet)
        failed = _work(turns, config, device, folder, tell, stopped)
        parts = cells.collect(found, folder.trial, config, device, failed)
        pair = given.content, given.styles[0]
        pages = sheet.write(folder.path, parts, config, *pair)
    if not quiet:
        for path in pages:
            progress.say(str(path))
    for label, fault in sheet.faults(parts):
        progress.warn(f"{label} failed: {fault}")
    number = stopped()
    if number:
        progress.warn("interrupted; the same command goes on from here")
        return 128 + number
    return 1 if failed else 0


def _work(
    turns: Sequence[tuple[Trial, int]],
    config: Config,
    device: "jax.Device",
    folder: Folder,
    tell: Callable[[Trial, Found], None],
    stopped: Callable[[], int],
) -> dict[str, str]:
    """Computes what is missing; what broke, by trial."""
    from nst_jax import words

    failed: dict[str, str] = {}
    for trial, mark in turns:
        if stopped():
            break
        if trial.label in failed:
            continue
        try:
            _go_on(trial, mark, config, device, folder, tell, stopped)
        except RequestError as error:
            failed[trial.label] = str(error)
        # Whatever it is, the other trials can do without this one.
        except Exception as error:
            failed[trial.label] = words.fault(error)
    return failed


def _go_on(
    trial: Trial,
    mark: int,
    config: Config,
    device: "jax.Device",
    folder: Folder,
    tell: Callable[[Trial, Found], None],
    stopped: Callable[[], int],
) -> None:
    """Takes a trial up to a mark, unless it is there."""
    from studying import work

    path = folder.trial(trial)
    found = store.read(path)
    marks = tuple(each for each in trial.marks if each <= mark)
    if found.is_done(marks):
        return
    ready = work.ready(trial, config, device)
    kept = time.monotonic()
    for now in work.run(ready, found, marks, stopped):
        tell(trial, now)
        is_last = bool(stopped()) or now.is_done(marks)
        if is_last or time.monotonic() - kept > _KEPT_EVERY:
            store.write(path, now)
            kept = time.monotonic()


def _watch(
    turns: Sequence[tuple[Trial, int]],
    folder: Folder,
    shape: tuple[int, int],
    *,
    quiet: bool,
) -> Callable[[Trial, Found], None]:
    """What tells of the work that is left."""
    costs, left = {}, {}
    for trial in {trial.key: trial for trial, _ in turns}.values():
        found = store.read(folder.trial(trial))
        is_done = found.is_done(trial.marks)
        left[trial.key] = 0 if is_done else trial.marks[-1] - found.step
        costs[trial.key] = grids.cost(trial, shape)
    return watch(costs, left, quiet=quiet)


if __name__ == "__main__":
    start.enter(main)
