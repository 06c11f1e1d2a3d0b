"""The terms of the loss as rows of a CSV file, written while the run goes on."""

import csv
from collections.abc import Mapping
from typing import IO

from nst_jax.arrays import LossTerms


def row(step: int, seconds: float, terms: LossTerms) -> dict[str, str]:
    """One row of the metrics: the weighted terms as they enter the total."""
    values = {
        "total": terms.total,
        "content": sum(terms.content.values()),
        "style": sum(terms.style.values()),
        "tv": terms.tv,
        **{f"content/{name}": value for name, value in terms.content.items()},
        **{f"style/{name}": value for name, value in terms.style.items()},
    }
    numbers = {name: f"{float(value):.9g}" for name, value in values.items()}
    return {"step": str(step), "seconds": f"{seconds:.3f}", **numbers}


def write(file: IO[str], row: Mapping[str, str], *, first: bool) -> None:
    """Adds a row, with the names above the first, so that it is there at once."""
    writer = csv.DictWriter(file, row, lineterminator="\n")
    if first:
        writer.writeheader()
    writer.writerow(row)
    file.flush()
