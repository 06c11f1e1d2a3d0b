"""The results as rows: for the terminal, and for a spreadsheet."""

from collections.abc import Mapping, Sequence
from typing import Any

from nst_jax.benchmark import statistics
from nst_jax.benchmark.earlier import METHOD
from nst_jax.benchmark.machine import NOT_READABLE
from nst_jax.benchmark.runner import Found
from nst_jax.show import tables

UNKNOWN = "unknown"


def row(cell: Found, ceilings: Mapping[str, Found]) -> dict[str, Any]:
    """All figures of one cell, flat; None where nobody tells."""
    start = {"workload": cell["workload"], "precision": cell["precision"]}
    if "step_s" not in cell:
        return {**start, "verdict": cell["verdict"]}
    rate = statistics.spread([1 / each for each in cell["step_s"]])
    evaluations = cell["evaluations_per_step"] * rate.median
    rows, columns = cell["shape"]
    executed = cell["flops_executed"]
    done = None if executed is None else executed * evaluations
    ceiling = ceilings.get(cell["precision"], {})
    best = ceiling.get("flops")
    peaks = cell["peak_bytes"]
    return {
        **start,
        "verdict": cell["verdict"],
        "steps_per_s": rate.median,
        "steps_per_s_p10": rate.p10,
        "steps_per_s_p90": rate.p90,
        "n": rate.n,
        "is_stable": cell["is_stable"],
        "evaluations_per_s": evaluations,
        "pixels_per_s": rows * columns * rate.median,
        "flops_algorithmic_per_s": cell["flops_algorithmic"] * evaluations,
        "flops_executed_per_s": done,
        "flops_executed_by": cell["flops_executed_by"],
        "ceiling_flops_per_s": best,
        "share_of_ceiling": done / best if done and best else None,
        "datasheet_flops_per_s": ceiling.get("datasheet"),
        "joules_per_step": cell["joules_per_step"],
        "peak_host_bytes": peaks.get("host"),
        "peak_device_bytes": peaks.get("device"),
        **{f"{name}_s": value for name, value in cell["phases_s"].items()},
        "loss": cell.get("loss"),
        "whole_s": cell.get("whole_s"),
        "time_to_loss_s": cell.get("time_to_loss_s"),
        "device": cell["device"],
        "products": cell["products"],
        "weights_sha256": cell["weights_sha256"],
        **cell["sensors"],
        **cell["machine"],
    }


def conditions(cells: Sequence[Found]) -> str:
    """What it was measured on, once for all cells that were measured alike."""
    lines = dict.fromkeys(_conditions(cell) for cell in cells if "step_s" in cell)
    return "\n".join(lines)


def _conditions(cell: Found) -> str:
    facts, sensors = cell["machine"], cell["sensors"]
    told = {name: value for name, value in sensors.items() if value != NOT_READABLE}
    names = ("processor", "threads", "quota", "versions", "commit", "environment")
    return "; ".join(
        [
            cell["device"],
            *(
                f"{name} {told[name]}"
                for name in ("driver", "power limit W")
                if name in told
            ),
            *(f"{name} {facts[name]}" for name in names if facts.get(name)),
            f"weights {cell['weights']} {cell['weights_sha256'][:12]}",
            f"method {METHOD}",
        ]
    )


def speed(rows: Sequence[Mapping[str, Any]]) -> str:
    """How fast each is, and what its result is worth."""
    heads = ("workload", "precision", "steps/s", "p10 to p90", "n", "evals/s", "Mpx/s")
    done = [each for each in rows if "steps_per_s" in each]
    cells = [
        (
            row["workload"],
            row["precision"],
            _number(row["steps_per_s"]),
            f"{_number(row['steps_per_s_p10'])} to {_number(row['steps_per_s_p90'])}",
            str(row["n"]),
            _number(row["evaluations_per_s"]),
            _number(row["pixels_per_s"], 1e6),
        )
        for row in done
    ]
    ends = [f"{r['workload']} {r['precision']}: {r['verdict']}" for r in rows]
    uneven = [
        f"{r['workload']} {r['precision']}: steps did not become even in the warm-up"
        for r in done
        if not r["is_stable"]
    ]
    table = [tables.text(heads, cells), ""] if cells else []
    return "\n".join([*table, *ends, *uneven])


def work(rows: Sequence[Mapping[str, Any]]) -> str:
    """Operations against the device's own ceiling, memory, energy."""
    heads = (
        *("workload", "precision", "TFLOP/s", "executed", "ceiling", "share"),
        *("host", "device", "J/step"),
    )
    cells = [
        (
            row["workload"],
            row["precision"],
            _number(row["flops_algorithmic_per_s"], 1e12),
            _number(row["flops_executed_per_s"], 1e12),
            _number(row["ceiling_flops_per_s"], 1e12),
            UNKNOWN
            if row["share_of_ceiling"] is None
            else f"{row['share_of_ceiling']:.0%}",
            _bytes(row["peak_host_bytes"]),
            _bytes(row["peak_device_bytes"]),
            _number(row["joules_per_step"]),
        )
        for row in rows
        if "steps_per_s" in row
    ]
    return tables.text(heads, cells) if cells else ""


def phases(rows: Sequence[Mapping[str, Any]]) -> str:
    """Where the time before the steady steps goes, in seconds."""
    names = (
        *("import", "device", "weights", "pictures", "targets", "kernels", "trace"),
        *("compile", "first step", "warm-up"),
    )
    heads = ("seconds of", "precision", *names, "whole job", "to the loss")
    cells = [
        (
            row["workload"],
            row["precision"],
            *(f"{row[f'{name}_s']:.2f}" for name in names),
            *(
                "-" if row[name] is None else f"{row[name]:.1f}"
                for name in ("whole_s", "time_to_loss_s")
            ),
        )
        for row in rows
        if "steps_per_s" in row
    ]
    return tables.text(heads, cells) if cells else ""


def ceilings(found: Mapping[str, Found]) -> str:
    """The fastest matrix products, one line each."""
    lines = []
    for precision, each in sorted(found.items()):
        if "flops" not in each:
            why = each.get("failed") or each.get("refused")
            lines.append(f"ceiling in {precision}: FAILED: {why}")
            continue
        sheet = each["datasheet"]
        known = f"{_number(sheet, 1e12)} TFLOP/s" if sheet else UNKNOWN
        lines.append(
            f"ceiling in {precision}: {_number(each['flops'], 1e12)} TFLOP/s, a "
            f"product of {each['shape']}; by the datasheet {known}"
        )
    return "\n".join(lines)


def peers(found: Sequence[Found]) -> str:
    """Ours against PyTorch's."""
    heads = (
        *("workload", "precision", "ours s/step", "torch s/step", "times as fast"),
        *("p10 to p90", "n", "compile", "torch's", "torch as"),
    )
    cells = []
    for each in found:
        if "ratio" not in each:
            continue
        middle, low, high, count = each["ratio"]
        both = [
            {
                key: statistics.spread([turn[key] for turn in each[name]]).median
                for key in ("step_s", "compile_s")
            }
            for name in ("ours", "peer")
        ]
        cells.append(
            (
                each["workload"],
                each["precision"],
                *(_number(one["step_s"]) for one in both),
                f"{middle:.2f}",
                f"{low:.2f} to {high:.2f}",
                str(count),
                *(f"{one['compile_s']:.1f} s" for one in both),
                each["best"],
            )
        )
    lines = [tables.text(heads, cells)] if cells else []
    for each in found:
        name = f"{each['workload']} {each['precision']}"
        if "ratio" not in each:
            why = each.get("failed") or each.get("refused")
            lines.append(f"{name}: the peer FAILED: {why}")
        if "peer_to_loss_s" in each:
            ours, theirs = each["ours_to_loss_s"], each["peer_to_loss_s"]
            lines.append(
                f"{name}: {each['peer_loss']:.6g} is torch's last loss; to the loss "
                f"{_seconds(ours)}, torch {_seconds(theirs)}"
            )
    return "\n".join(lines)


def _seconds(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.1f} s"


def in_csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The rows with every column that any of them has."""
    names = dict.fromkeys(name for row in rows for name in row)
    return tables.in_csv([{name: row.get(name) for name in names} for row in rows])


def _number(value: float | None, unit: float = 1.0) -> str:
    return UNKNOWN if value is None else f"{value / unit:.3g}"


def _bytes(count: int | None) -> str:
    return UNKNOWN if count is None else f"{count / 2**20:.0f} MiB"
