"""A job of the page as a value, and as the page is told of it."""

from pathlib import Path
from typing import Any, Literal, NamedTuple

from nst_jax.app.orders import Order, Plan
from nst_jax.app.pace import Leg

State = Literal["waiting", "working", "done", "stopped", "failed"]


class Job(NamedTuple):
    """One picture that was asked for."""

    key: str
    order: Order
    plan: Plan
    way: tuple[Leg, ...]
    state: State = "waiting"
    note: str = ""  # what went wrong
    step: int = 0
    share: float = 0.0  # of the work
    left: float = 0.0  # seconds
    spent: float = 0.0
    version: int = 0  # of the view
    view: bytes = b""  # as JPEG
    result: Path | None = None
    is_stopping: bool = False


def is_ahead(job: Job) -> bool:
    """Whether it is still to be done, or being done."""
    return job.state in ("waiting", "working")


def shown(job: Job, waiting: list[str]) -> dict[str, Any]:
    """A job as the page knows it."""
    rows, columns = job.way[-1].shape
    return {
        "key": job.key,
        "state": job.state,
        "note": job.note,
        "place": waiting.index(job.key) if job.key in waiting else -1,
        "step": job.step,
        "steps": sum(leg.steps for leg in job.way),
        "share": job.share,
        "left": job.left,
        "spent": job.spent,
        "version": job.version if job.view else 0,
        "width": columns,
        "height": rows,
        "stopping": job.is_stopping,
        "command": job.plan.command,
        "order": job.order._asdict(),
        "file": job.result.name if job.result else "",
    }
