"""Lines that say how far a study is, with the time that is left."""

import time
from collections.abc import Callable, Mapping

from nst_jax import progress, report
from studying.grids import Trial
from studying.store import Found

_EVERY = 20.0  # seconds between lines


def watch(
    costs: Mapping[str, float], left: Mapping[str, float], *, quiet: bool
) -> Callable[[Trial, Found], None]:
    """What to call at each row of a trial's curves; prints a line now and then.

    Args:
        costs: what a step of each trial costs, in any unit.
        left: the steps that each trial has still to do.
        quiet: whether nothing is printed.
    """
    rest = dict(left)
    said = [0.0]
    before = {"": (0, 0.0)}

    def tell(trial: Trial, found: Found) -> None:
        seconds = found.rows[-1][1]
        step, then = before.get(trial.key, (found.step, seconds))
        before.clear()
        before[trial.key] = (found.step, seconds)
        rest[trial.key] = max(trial.marks[-1] - found.step, 0) * (not found.fault)
        is_due = found.step in trial.marks or time.monotonic() - said[0] > _EVERY
        if quiet or found.step == step or not is_due:
            return
        said[0] = time.monotonic()
        pace = (seconds - then) / (found.step - step)
        all_left = sum(rest[key] * costs[key] for key in rest) / costs[trial.key]
        progress.say(
            f"{trial.label}: step {found.step}/{trial.marks[-1]}  "
            f"loss {found.rows[-1][3]:.4g}  {pace:.3f} s a step  "
            f"about {report.duration(pace * all_left)} left"
        )

    return tell
