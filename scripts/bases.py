"""How many steps waves take to the loss that pixels reach.

    python scripts/bases.py FOLDER [flags of a run, --content and --style among them]

Runs the same job twice, moving pixels and moving waves, and prints the step at which
waves are as low as pixels are after 30, 50, 100, ... steps, its share of those steps,
and the total there: `100: 36 (36%, 1.5e+06)`. A dash: they never are.
Metrics and pictures are left in the folder. docs/performance.md has what it found.
"""

import csv
import sys
from pathlib import Path

from nst_jax import run

_MARKS = (30, 50, 100, 200, 300, 500)


def main(folder: str, *given: str) -> int:
    """Prints one line; the exit status."""
    totals = {basis: _totals(Path(folder), basis, given) for basis in _BASES}
    if not all(totals.values()):
        return 1
    pixels, waves = totals.values()
    found = []
    for mark in _MARKS:
        if mark in pixels:
            low = [step for step, total in waves.items() if total <= pixels[mark]]
            share = f"{min(low)} ({min(low) / mark:.0%}" if low else "- (-"
            found.append(f"{mark}: {share}, {pixels[mark]:.5g})")
    print(f"{Path(folder).name}: waves as low as pixels at", ", ".join(found))
    return 0


_BASES = ("pixels", "waves")


def _totals(folder: Path, basis: str, given: tuple[str, ...]) -> dict[int, float]:
    """The total by step; empty if the run failed."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / basis
    flags = [*given, f"--basis={basis}", f"--output={stem}.png", "--overwrite"]
    side = [f"--metrics={stem}.csv", "--log_every=2", "--scales=none", "--quiet"]
    if run.main([*flags, *side]):
        return {}
    with open(f"{stem}.csv", encoding="utf-8", newline="") as lines:
        return {int(row["step"]): float(row["total"]) for row in csv.DictReader(lines)}


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
