"""How a picture is looked at, where it is large."""

import dataclasses
import re

from nst_jax.errors import RequestError
from nst_jax.settings import check, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class MemoryConfig:
    """How a large picture is made to fit; the result is the same."""

    tile: str = setting(
        "auto",
        "Look at the picture in windows: auto (only if it would not fit else, in those"
        " that recompute least), none, or of so many pixels, each way, and what lies"
        " round them. Loss and gradient are those of the whole.",
        stored="beside",
    )
    rematerialize: bool = setting(
        False,
        "Compute the first layers' maps a second time instead of keeping them: a third"
        " of the memory for a seventh more time.",
        stored="beside",
    )
    memory_limit: float = setting(
        0.0,
        "GiB that a run may take, on each of several devices with memory of their own;"
        " 0 is nine tenths of what the device, or this machine or container, has.",
        low=0,
        stored="never",
    )

    def __post_init__(self) -> None:
        check(self)
        whole = bool(re.fullmatch("[1-9][0-9]{0,5}", self.tile))
        if self.tile not in ("auto", "none") and not whole:
            raise RequestError(
                f"--tile must be auto, none or a number of pixels, got {self.tile!r}"
            )
        if whole and self.rematerialize:
            raise RequestError(
                f"--rematerialize must go with --tile=auto or none, got "
                f"--tile={self.tile}, by which everything is computed twice already"
            )
