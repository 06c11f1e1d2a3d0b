"""Many jobs in one go; none of this is a setting of a single one."""

import dataclasses
import re

from nst_jax.errors import RequestError
from nst_jax.settings import check, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobsConfig:
    """Many jobs in one go, into the folder --output."""

    manifest: str = setting(
        "",
        "Table of jobs (.csv, or .jsonl with an object a line): each row is a job, each"
        " column a flag, which wins over that of the command line. Without it,"
        " --content=FOLDER --style=FOLDER are each content in each style.",
        file="read",
        stored="never",
    )
    shard: str = setting(
        "",
        "I/N, such as 0/4: of N machines this one is number I, from 0, and does every"
        " N-th job from there.",
        stored="never",
    )
    batch: str = setting(
        "auto",
        "Jobs of one shape that are computed together: auto (one on CPUs), or a"
        " number.",
        stored="never",
    )

    def __post_init__(self) -> None:
        check(self)
        if self.shard and not self._shard():
            raise RequestError(
                "--shard must be I/N with I from 0 to N - 1, such as 0/4, got "
                f"{self.shard!r}"
            )
        if not re.fullmatch("auto|[1-9][0-9]{0,2}", self.batch):
            raise RequestError(
                f"--batch must be auto or a number from 1 to 999, got {self.batch!r}"
            )

    def part(self) -> tuple[int, int]:
        """Which of how many parts of the jobs this is."""
        return self._shard() or (0, 1)

    def _shard(self) -> tuple[int, int] | None:
        found = re.fullmatch("([0-9]{1,6})/([0-9]{1,6})", self.shard)
        number, count = map(int, found.groups()) if found else (0, 0)
        return (number, count) if number < count else None
