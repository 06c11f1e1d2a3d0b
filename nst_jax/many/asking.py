"""What is asked for of all jobs together."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

from nst_jax import flags, progress, start
from nst_jax.config import JobsConfig
from nst_jax.errors import RequestError
from nst_jax.many import summary


class Asked(NamedTuple):
    """What is asked for of all jobs together."""

    name: str  # of the table, in messages
    jobs: JobsConfig
    output: Path
    quiet: bool
    dry_run: bool
    overwrite: bool
    device: str
    devices: str

    @property
    def table(self) -> Path:
        """The summary."""
        return self._file("summary", ".csv")

    @property
    def sheet(self) -> Path:
        """The contact sheet."""
        return self._file("contact_sheet", ".jpg")

    def _file(self, stem: str, suffix: str) -> Path:
        """A file that tells of all jobs, or of this part of them."""
        return summary.path(self.output, stem, suffix, self.jobs.part())

    @property
    def is_whole(self) -> bool:
        """Whether this does all jobs, not a part of them."""
        return self.jobs.part()[1] == 1

    @property
    def is_spread(self) -> bool:
        """Whether each picture takes several devices."""
        return self.devices not in ("auto", "1")

    def prepare_jax(self) -> None:
        """Settings that JAX reads when it is imported."""
        start.prepare_jax(self.device, self.devices)

    def say(self, line: str) -> None:
        """Prints it unless all is to be quiet."""
        if not self.quiet:
            progress.say(line)


def asked(given: flags.Given) -> tuple[flags.Given, Asked]:
    """What is given of each job, and of all together.

    Jobs need not meet: of several processes each does its part.
    """
    values = dict(given.values)
    jobs: JobsConfig = flags.own(values, flags.RUN)
    if values.pop("distributed", False):
        raise RequestError(
            "--distributed is for one picture on several machines; for many jobs, give "
            "each machine its part, as in --shard=$SLURM_PROCID/$SLURM_NTASKS"
        )
    jobs = _parted(values, jobs)
    if not values.get("output"):
        raise RequestError("missing --output: write --output=FOLDER for many jobs")
    return given._replace(values=values), Asked(
        repr(jobs.manifest) if jobs.manifest else "the folders",
        jobs,
        Path(values["output"]),
        values.get("quiet", False),
        values.get("dry_run", False),
        values.get("overwrite", False),
        values.get("device", "auto"),
        values.get("devices", "auto"),
    )


def _parted(values: dict[str, Any], jobs: JobsConfig) -> JobsConfig:
    """The jobs, the processes of one run being their parts; takes those flags out."""
    coordinator = values.pop("coordinator", "")
    values.pop("connect_timeout", None)
    process, processes = values.pop("process", 0), values.pop("processes", 0)
    if (process or processes) and not coordinator:
        raise RequestError(
            "--processes and --process go with --coordinator=HOST:PORT, got none; for "
            "many jobs give each machine its part, as in --shard=0/4"
        )
    if not coordinator or jobs.shard:
        return jobs
    if not process < processes:
        raise RequestError(
            "--process must be a number from 0 to --processes - 1, got "
            f"{process} of {processes}"
        )
    return dataclasses.replace(jobs, shard=f"{process}/{processes}")
