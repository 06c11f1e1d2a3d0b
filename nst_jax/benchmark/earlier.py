"""Results of an earlier day: read, and set against today's."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nst_jax.benchmark import statistics
from nst_jax.benchmark.runner import Found
from nst_jax.errors import RequestError
from nst_jax.show import tables

# Raised whenever figures are made in another way, so that they are not compared.
METHOD = 2
MADE_BY = "nst_jax.benchmark"
# What may differ, and must then be said.
_CONDITIONS = ("device", "products", "weights_sha256", "shape")
_MACHINE = ("processor", "threads", "versions", "commit")


def read(path: str, names: Sequence[str]) -> Found:
    """The results in a file, if some of these workloads can be compared with them."""
    try:
        found = json.loads(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not JSON"
        raise RequestError(f"cannot read --compare={path!r}: {reason}") from None
    if not isinstance(found, dict) or found.get("made_by") != MADE_BY:
        raise RequestError(
            f"--compare={path!r} holds no results of {MADE_BY}; give a file that "
            f"--json wrote"
        )
    if found.get("method") != METHOD:
        raise RequestError(
            f"--compare={path!r} was measured by method {found.get('method')}, this is "
            f"method {METHOD}: their figures mean different things"
        )
    known = {cell["workload"] for cell in found["cells"]}
    if not known & set(names):
        raise RequestError(
            f"--compare={path!r} has none of {', '.join(names)}; it has "
            f"{', '.join(sorted(known)) or 'nothing'}"
        )
    return found


def text(old: Mapping[str, Any], cells: Sequence[Found], path: str) -> str:
    """A row for each cell that both have, and what was different."""
    before = {_key(cell): cell for cell in old["cells"]}
    rows, notes = [], []
    for cell in cells:
        other, name = before.get(_key(cell)), " ".join(_key(cell))
        if other is None:
            notes.append(f"{name}: not in {path}")
            continue
        if "step_s" not in cell or "step_s" not in other:
            notes.append(f"{name}: failed, now or then")
            continue
        then, now = (
            statistics.spread([1 / value for value in each["step_s"]])
            for each in (other, cell)
        )
        rows.append(
            (
                *_key(cell),
                *(
                    f"{each.median:.3g} ({each.p10:.3g} to {each.p90:.3g})"
                    for each in (then, now)
                ),
                f"{now.median / then.median:.3f}",
            )
        )
        notes += [f"{name}: another {what}" for what in _different(other, cell)]
    heads = ("workload", "precision", "steps/s then", "steps/s now", "now / then")
    return "\n".join([*([tables.text(heads, rows)] if rows else []), *notes])


def _key(cell: Found) -> tuple[str, str]:
    return cell["workload"], cell["precision"]


def _different(one: Found, two: Found) -> list[str]:
    """What the two were not measured alike in."""
    found = [name for name in _CONDITIONS if one[name] != two[name]]
    pair = (one["machine"], two["machine"])
    return found + [name for name in _MACHINE if pair[0].get(name) != pair[1].get(name)]
