"""What comes out."""

import dataclasses
import math
import re
from typing import Literal

from nst_jax.errors import RequestError
from nst_jax.settings import check, setting

# A kind of device, and which of several.
_DEVICE = r"(auto|cpu|gpu|tpu)(:[0-9]{1,6})?"
# Steps, or seconds.
_OFTEN = r"([1-9][0-9]{0,8})(s?)"


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutputConfig:
    """What comes out."""

    output: str = setting(
        "",
        "The result: .png, .jpg, .webp, .tif or .bmp; the suffix decides the format.",
        file="written",
    )
    overwrite: bool = setting(False, "Replace files that are there.", stored="never")
    bit_depth: Literal["8", "16"] = setting("8", "Bits a channel (16: PNG and TIFF).")
    quality: int = setting(95, "Of JPEG and WebP.", low=1, high=100)
    no_metadata: bool = setting(False, "Leave the settings out of the picture.")
    # Files of one run: one that repeats it names its own, or has none.
    metrics: str = setting(
        "", "CSV file for the terms of the loss.", file="written", stored="never"
    )
    report: str = setting(
        "",
        "HTML page with pictures, curves, settings and times.",
        file="written",
        stored="never",
    )
    preview: str = setting(
        "",
        "A picture that is rewritten while the run goes on.",
        file="written",
        stored="never",
    )
    preview_every: int = setting(10, "Steps between previews.", low=1, stored="never")
    save_every: int = setting(
        0,
        "Keep a numbered picture every so many steps; 0 keeps none.",
        low=0,
        stored="never",
    )
    checkpoint: str = setting(
        "",
        "Folder for the state of the run, from which --resume goes on; the last two"
        " states are kept.",
        file="written",
        stored="never",
    )
    checkpoint_every: str = setting(
        "60s",
        "How often: every so many seconds (60s) or steps (100).",
        stored="never",
    )
    resume: Literal["none", "exact", "extend"] = setting(
        "none",
        "Go on from the last state in --checkpoint, bit for bit (alone: exact); extend"
        " allows more steps or a larger size. Without a state it starts anew.",
        alone="exact",
        stored="never",
    )
    device: str = setting(
        "auto", "auto, cpu, gpu, tpu, or with a number: gpu:1.", stored="beside"
    )
    quiet: bool = setting(False, "Print errors only.", stored="never")
    dry_run: bool = setting(
        False,
        "Print what would be done and how much memory it needs; write nothing.",
        stored="never",
    )

    def __post_init__(self) -> None:
        check(self)
        if not re.fullmatch(_DEVICE, self.device):
            raise RequestError(
                f"--device must be auto, cpu, gpu or tpu, with a number if there are "
                f"several (gpu:1), got {self.device!r}"
            )
        if not re.fullmatch(_OFTEN, self.checkpoint_every):
            raise RequestError(
                "--checkpoint_every must be steps (100) or seconds (60s), at least 1, "
                f"got {self.checkpoint_every!r}"
            )
        if self.resume != "none" and not self.checkpoint:
            raise RequestError(
                f"--resume={self.resume} needs --checkpoint, the folder of the run "
                "that goes on, got none"
            )

    def checkpoint_steps(self) -> int:
        """Steps between checkpoints, 0 where seconds count."""
        return 0 if self.checkpoint_every.endswith("s") else int(self.checkpoint_every)

    def checkpoint_seconds(self) -> float:
        """Seconds between checkpoints, without end where steps count."""
        every = self.checkpoint_every
        return float(every[:-1]) if every.endswith("s") else math.inf
