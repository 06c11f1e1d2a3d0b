"""What a result is worth: whether its loss is the one that the workload ends with."""

from nst_jax.benchmark import workloads
from nst_jax.benchmark.asked import Job
from nst_jax.benchmark.runner import Found


def of(cell: Found, job: Job, *, is_whole: bool) -> str:
    """Whether the result of a cell is what the workload asks for."""
    for name in ("failed", "refused"):
        if name in cell:
            return f"FAILED: {cell[name]}"
    if cell["weights"] == "random":
        return "random weights: timing only"
    if job.frozen is None:
        return "not validated: not a frozen workload"
    if not is_whole:
        return "not validated: timing only"
    if cell["weights_sha256"] != job.frozen.weights:
        return "not validated: other weights than the target's"
    target, loss = job.frozen.target, cell["loss"]
    if target is None:
        return f"not validated: no target yet; loss {loss:.6g}"
    away = loss / target - 1
    if not abs(away) <= workloads.TOLERANCE:
        return f"INVALID: loss {loss:.6g}, target {target:.6g} ({away:+.2%})"
    return f"valid: loss {loss:.6g} ({away:+.2%})"


def time_to_loss(cell: Found, job: Job) -> float | None:
    """Seconds of steps until the loss is within the tolerance of the target."""
    if job.frozen is None or job.frozen.target is None:
        return None
    goal = job.frozen.target * (1 + workloads.TOLERANCE)
    reached = (seconds for _, seconds, loss in cell.get("curve", ()) if loss <= goal)
    return next(reached, None)
