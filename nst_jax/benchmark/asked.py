"""What is to be measured: jobs in precisions, from flags and frozen workloads.

Knows no JAX: all of it is checked before anything is started.
"""

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from nst_jax import flagfile, flags, start
from nst_jax.benchmark import workloads
from nst_jax.benchmark.workloads import Workload
from nst_jax.config import Config
from nst_jax.errors import RequestError
from nst_jax.settings import check, setting

# Settings that change where and how exactly a workload is computed, not what it is.
_FREE = {
    *("device", "precision", "convolution", "weights", "weights_source", "offline"),
    *("max_pixels", "quiet", "overwrite", "dry_run"),
}
_PRECISIONS = ("float32", "tf32", "mixed")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchmarkConfig:
    """What is measured."""

    workload: tuple[str, ...] = setting(
        (),
        f"Frozen jobs, or all; without --content and --style {workloads.DEFAULT}, with"
        " them the job that the flags describe, at its last scale.",
    )
    precisions: tuple[str, ...] = setting(
        (), "Precisions to measure each job in; empty: that of --precision."
    )
    quick: bool = setting(
        False, "Time only: no job is run to its end, and none is validated."
    )
    measure_seconds: float = setting(
        20.0, "Steady steps on record of each job.", low=0.1, high=3600
    )
    json: str = setting("", "The results as a JSON file.", file="written")
    csv: str = setting("", "The table as a CSV file.", file="written")
    compare: str = setting(
        "", "An earlier --json file, to be compared with.", file="read"
    )
    profile: str = setting(
        "", "Folder for traces of a few steps, by JAX's profiler.", file="written"
    )
    peer: bool = setting(
        False, "Measure the same in PyTorch, in alternation (benchmarks/)."
    )
    peer_python: str = setting(
        "", "The Python that has torch; empty: the one that runs this.", file="read"
    )
    alternations: int = setting(
        5, "How often ours and the peer take turns.", low=1, high=100
    )

    def __post_init__(self) -> None:
        check(self)
        for name in self.precisions:
            if name not in _PRECISIONS:
                raise RequestError(
                    f"--precisions must be some of {', '.join(_PRECISIONS)}, got "
                    f"{flagfile.shown(name)}"
                )


class Job(NamedTuple):
    """One thing to be measured.

    `name` is a workload's, with what was changed of it; `frozen` the workload itself
    if nothing was.
    """

    name: str
    config: Config
    frozen: Workload | None

    @property
    def arguments(self) -> list[str]:
        """The flags of a run that does the job."""
        return arguments(self.config)

    @property
    def precision(self) -> str:
        """As it was asked for; the device may not have it."""
        return self.config.network.precision


def own(request: flags.Request) -> BenchmarkConfig:
    """The settings that a run has not."""
    return cast(BenchmarkConfig, request.own)


def arguments(config: Config) -> list[str]:
    """The flags that give these settings."""
    files = {
        "quiet": config.output.quiet,
        "overwrite": config.output.overwrite,
    }
    rows = flagfile.lines(flagfile.dump(config, folders=True))
    return [*rows, *(f"--{name}" for name, is_on in files.items() if is_on)]


def jobs(request: flags.Request, pictures: Path) -> list[Job]:
    """Everything to be measured; the workloads find their pictures in that folder."""
    settings = own(request)
    found = (
        [_own_job(request.config)]
        if _is_own(request)
        else [
            _frozen_job(each, request, pictures)
            for each in workloads.look_up(settings.workload or (workloads.DEFAULT,))
        ]
    )
    names = settings.precisions or (request.config.network.precision,)
    return [_in_precision(job, name) for job in found for name in names]


def needs_pictures(request: flags.Request) -> bool:
    """Whether the shipped pictures are looked at."""
    return not _is_own(request)


def _is_own(request: flags.Request) -> bool:
    """Whether the flags describe a job of their own."""
    inputs, names = request.config.inputs, own(request).workload
    given = bool(inputs.content or inputs.style)
    if given and names:
        raise RequestError(
            f"--workload={flagfile.to_text(names)} has pictures of its own; leave out "
            f"--content and --style, or --workload"
        )
    if given and not (inputs.style and (inputs.content or request.config.is_texture())):
        raise RequestError("a job needs both --content=PHOTO and --style=PAINTING")
    if request.preset and not given:
        raise RequestError(
            f"--preset={request.preset} needs pictures: write --content=PHOTO "
            f"--style=PAINTING"
        )
    return given


def _own_job(config: Config) -> Job:
    """The job of the flags, named after its settings."""
    text = flagfile.dump(config, folders=False)
    rows = [row for row in flagfile.lines(text) if not row.startswith("--precision=")]
    mark = hashlib.sha256("\n".join(rows).encode()).hexdigest()[:8]
    return Job(f"flags-{mark}", config, None)


def _frozen_job(workload: Workload, request: flags.Request, pictures: Path) -> Job:
    """A workload, with what the flags change of it."""
    frozen = flags.parse(
        workloads.arguments(workload, pictures),
        read_settings=start.read_settings,
        program=flags.Program(needed={}, help=str),
    ).config
    values = {f.name: v for f, v in flagfile.settings(request.config)}
    # What a run would write is not written here.
    written = {f.name for f in dataclasses.fields(Config().output)} - _FREE
    chosen = {
        name: values[name]
        for name in request.given
        if name in values and name not in written
    }
    config = changed(frozen, chosen)
    before = {f.name: v for f, v in flagfile.settings(frozen)}
    other = {
        name: value
        for name, value in sorted(chosen.items())
        if name not in _FREE and before[name] != value
    }
    if not other:
        return Job(workload.name, config, workload)
    words = " ".join(f"{name}={flagfile.to_text(v)}" for name, v in other.items())
    return Job(f"{workload.name} with {words}", config, None)


def changed(config: Config, values: Mapping[str, Any]) -> Config:
    """The settings with some of them replaced, by their flat names."""
    groups = {}
    for name, group in flagfile.groups(Config).items():
        fields = {field.name for field in dataclasses.fields(group)}
        own = {key: values[key] for key in fields & values.keys()}
        groups[name] = dataclasses.replace(getattr(config, name), **own)
    return Config(**groups)


def _in_precision(job: Job, precision: str) -> Job:
    return job._replace(config=changed(job.config, {"precision": precision}))
