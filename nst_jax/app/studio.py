"""The queue of a visit and the thread that works it off, one job at a time.

Jobs are values: a change makes a new one. What the thread and the page's requests
share is in `Studio`, behind one lock. JAX is loaded in the thread, so that the page
is there at once.
"""

import shutil
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from nst_jax import progress, run
from nst_jax.app import jobs, orders, pace, shelf, wording
from nst_jax.app.asked import Defaults
from nst_jax.app.device import Device, check_memory, look, to_fetch
from nst_jax.app.jobs import Job, State
from nst_jax.app.orders import Order
from nst_jax.app.pace import Leg
from nst_jax.app.shelf import Shelf
from nst_jax.errors import RequestError

_MOST_WAITING, _MOST_KEPT = 20, 200


class Studio:
    """Everything of a visit; its methods may be called from any thread."""

    def __init__(self, folder: Path, defaults: Defaults) -> None:
        (folder / "pictures").mkdir()
        (folder / "results").mkdir()
        self.shelf = Shelf(
            folder / "pictures", max_pixels=defaults.config.inputs.max_pixels
        )
        self.defaults = defaults
        self._results = folder / "results"
        self._change = threading.Condition()
        self._jobs: dict[str, Job] = {}
        self._device = Device(rate=pace.guess("cpu"))
        self._number = 0
        self._version = 0
        self._is_closing = False
        self._thread = threading.Thread(target=self._live, daemon=True)

    def open(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def close(self, seconds: float) -> bool:
        """Ends the thread after the step that it is at; whether it came to its end."""
        with self._change:
            self._is_closing = True
            self._change.notify_all()
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def planned(self, order: Order) -> dict[str, Any]:
        """What an order means: its command line, its size and its seconds."""
        plan = self._plan(order, self._results / "0")
        way = self._way(order, plan)
        rows, columns = way[-1].shape
        with self._change:
            device = self._device
        return {
            "command": plan.command,
            "width": columns,
            "height": rows,
            "steps": sum(leg.steps for leg in way),
            "seconds": pace.seconds(way, device.rate),
            "measured": device.is_measured,
        }

    def submit(self, order: Order) -> str:
        """Puts an order into the queue; its key."""
        with self._change:
            if self._waiting() >= _MOST_WAITING:
                raise RequestError(
                    f"{_MOST_WAITING} pictures are waiting already; let some finish"
                )
            self._number += 1
            key = str(self._number)
        folder = self._results / key
        plan = self._plan(order, folder)
        way = self._way(order, plan)
        folder.mkdir(mode=0o700)
        with self._change:
            job = Job(key, order, plan, way)
            job = job._replace(left=pace.seconds(way, self._device.rate))
            self._jobs[key] = job
            self._forget_old()
            self._changed()
        return key

    def stop(self, key: str) -> None:
        """Ends a job after the step that it is at, or takes it out of the queue."""
        with self._change:
            job = self.job(key)
            if job.state == "waiting":
                self._set(key, state="stopped", note="Taken out of the queue.")
            elif job.state == "working":
                self._set(key, is_stopping=True)

    def forget(self, key: str) -> None:
        """Takes a job that has ended out of the history, with its picture."""
        with self._change:
            if jobs.is_ahead(self.job(key)):
                raise RequestError("this picture is not finished; stop it first")
            del self._jobs[key]
            self._changed()
        shutil.rmtree(self._results / key, ignore_errors=True)

    def job(self, key: str) -> Job:
        """The job with that key."""
        with self._change:
            if key not in self._jobs:
                raise RequestError("this picture is not here any more")
            return self._jobs[key]

    def news(self, since: int) -> dict[str, Any] | None:
        """Everything that the page shows of the visit, if it is another than then."""
        with self._change:
            if since == self._version:
                return None
            device = self._device
            waiting = [job.key for job in self._jobs.values() if jobs.is_ahead(job)]
            return {
                "version": self._version,
                "device": device.name,
                "precision": device.precision,
                "trouble": device.trouble,
                "fetch": dict(device.fetch),
                "jobs": [jobs.shown(job, waiting) for job in self._jobs.values()],
            }

    def _plan(self, order: Order, folder: Path) -> orders.Plan:
        return orders.plan(order, self.shelf, self.defaults, folder)

    def _way(self, order: Order, plan: orders.Plan) -> tuple[Leg, ...]:
        """The way of an order; raises if it does not fit into memory."""
        config = plan.request.config
        way = pace.legs(self.shelf.look_up(order.photo).shape, config)
        if self._device.name:  # JAX is there
            final = way[-1].shape
            shapes = [self.shelf.look_up(key).shape for key in order.paintings]
            check_memory(final, pace.styles(shapes, config, final), config)
        return way

    def _waiting(self) -> int:
        return sum(job.state == "waiting" for job in self._jobs.values())

    def _changed(self) -> None:
        self._version += 1
        self._change.notify_all()

    def _set(self, key: str, **values: Any) -> None:
        with self._change:
            self._jobs[key] = self._jobs[key]._replace(**values)
            self._changed()

    def _forget_old(self) -> None:
        ended = [job.key for job in self._jobs.values() if not jobs.is_ahead(job)]
        for key in ended[: max(0, len(ended) - _MOST_KEPT)]:
            del self._jobs[key]
            shutil.rmtree(self._results / key, ignore_errors=True)

    def _live(self) -> None:
        """What the thread does."""
        try:
            found = look(self.defaults, self._device)
        except RequestError as error:
            found = self._device._replace(trouble=wording.plain(str(error)))
        # Whatever JAX stumbles over when it starts, the page says that it did.
        except Exception as error:
            traceback.print_exception(error)
            found = self._device._replace(trouble="JAX does not start here.")
        with self._change:
            self._device = found
            self._changed()
        while job := self._next():
            try:
                self._work(job)
            # One job's fault is not the next one's.
            except Exception as error:
                traceback.print_exception(error)
                self._set(job.key, state="failed", note="Something broke on the way.")

    def _next(self) -> Job | None:
        """The next job, as soon as there is one; None at the end."""
        with self._change:
            while not self._is_closing:
                for job in self._jobs.values():
                    if job.state == "waiting":
                        self._jobs[job.key] = job._replace(state="working")
                        self._changed()
                        return self._jobs[job.key]
                self._change.wait()
        return None

    def _work(self, job: Job) -> None:
        """Does a job as the command line does."""
        lines: list[str] = []
        meter = pace.Meter(job.way, self._device.rate)
        since = time.monotonic()

        def sees(step: int, image: Float32[np.ndarray, "_ _ 3"]) -> None:
            left = meter.passed(step)
            self._set(
                job.key,
                step=step,
                share=meter.share(step),
                left=left,
                spent=time.monotonic() - since,
                view=shelf.view(image),
                version=self._version,
            )

        def stops() -> bool:
            return self._is_closing or self.job(job.key).is_stopping

        onlooker = progress.Onlooker(sees, stops)
        try:
            # It may have been ordered before JAX was there.
            self._way(job.order, job.plan)
            with progress.overheard(lines.append):
                status = run.carry_out(job.plan.request, since, onlooker)
        except RequestError as error:
            line = self.shelf.bare(str(error))
            self._set(job.key, state="failed", note=wording.plain(line))
            return
        self._end(job.key, status, lines, time.monotonic() - since)
        self._learn(meter)

    def _learn(self, meter: pace.Meter) -> None:
        """What is known of the device after a job, and what it has fetched."""
        device = self._device
        if meter.is_measured:
            device = device._replace(rate=meter.rate, is_measured=True)
        if any(device.fetch.values()):
            device = device._replace(fetch=to_fetch(self.defaults))
        with self._change:
            self._device = device
            self._changed()

    def _end(self, key: str, status: int, lines: list[str], spent: float) -> None:
        """Puts the result into the history."""
        job = self.job(key)
        path: Path | None = Path(job.plan.request.config.output.output)
        steps = sum(leg.steps for leg in job.way)
        # The photo, not a single stroke done, is no result.
        if not (path and path.exists()) or (job.step == 0 < steps):
            path = None
        note = wording.plain(self.shelf.bare(lines[-1])) if status and lines else ""
        state: State = "done"
        if status:
            state = "failed"
        elif job.is_stopping and job.step < steps:
            state = "stopped"
        view = self.shelf.shown(path) if path else job.view
        self._set(
            key,
            state=state,
            note=note,
            result=path,
            spent=spent,
            view=view,
            version=self._version,
            left=0.0,
        )
