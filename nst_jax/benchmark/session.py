"""What is measured in one go: in which order, and what is kept of it on the way."""

import datetime
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from nst_jax import __version__, disk, flags, progress
from nst_jax.benchmark import asked, earlier, machine, peer, runner, table, verdict
from nst_jax.benchmark.asked import BenchmarkConfig, Job
from nst_jax.benchmark.cell import Spec
from nst_jax.benchmark.runner import Found
from nst_jax.errors import RequestError

# Of the time on record, the share for each shape of the ceiling's sweep.
_SWEEP = 1 / 20


class Session(NamedTuple):
    """Everything that is known before the first measurement."""

    request: flags.Request
    jobs: Sequence[Job]
    folder: Path
    results: Found  # grows

    @property
    def settings(self) -> BenchmarkConfig:
        """The settings that a run has not."""
        return asked.own(self.request)


def empty(argv: Sequence[str]) -> Found:
    """Results before anything was measured."""
    return {
        "made_by": earlier.MADE_BY,
        "method": earlier.METHOD,
        "program": f"nst-jax {__version__}",
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "arguments": list(argv),
        "is_complete": False,
        "ceilings": {},
        "cells": [],
        "peer": [],
    }


def measure(session: Session) -> list[tuple[Job, Found]]:
    """Measures everything in shuffled order; what was found out about each job."""
    warning = session.results["warning"] = machine.busy()
    if warning:
        tell(session, warning)
    known = _known(session)
    tasks: list[Callable[[], None]] = [
        _task(session, job, facts, number)
        for number, (job, facts) in enumerate(known, start=1)
    ]
    precisions = {facts["precision"] for _, facts in known if "precision" in facts}
    tasks += [_ceiling(session, each) for each in sorted(precisions)]
    random.shuffle(tasks)
    for task in tasks:
        task()
        save(session)
    return [(job, facts) for job, facts in known if "precision" in facts]


def _known(session: Session) -> list[tuple[Job, Found]]:
    """Each job with where it runs; none twice, as on devices without tf32."""
    found: list[tuple[Job, Found]] = []
    checked: dict[tuple[str, ...], Found] = {}
    for job in session.jobs:
        network = job.config.network
        key = (network.network, network.weights, network.precision)
        if key not in checked:
            tell(session, f"checking the device and the weights in {job.precision}")
            spec = Spec("check", job.arguments)
            checked[key] = runner.run(spec, session.folder)
        facts = checked[key]
        if "refused" in facts:
            raise RequestError(facts["refused"])
        precision = facts.get("precision", job.precision)
        if (job.name, precision) in [(j.name, f.get("precision")) for j, f in found]:
            line = f"{job.name}: {job.precision} is {precision} here, measured once"
            tell(session, line)
            continue
        found.append((job, facts))
    return found


def _task(session: Session, job: Job, facts: Found, number: int) -> Callable[[], None]:
    settings = session.settings

    def measure() -> None:
        tell(session, f"{job.name}: measuring in {facts.get('precision', '?')}")
        profile = settings.profile and str(Path(settings.profile) / f"{number:02}")
        spec = Spec(
            "measure",
            job.arguments,
            settings.measure_seconds,
            whole=not settings.quick,
            profile=profile,
        )
        cell = runner.run(spec, session.folder)
        start = {"workload": job.name, "arguments": job.arguments}
        cell = {"precision": facts.get("precision", job.precision), **start, **cell}
        cell["verdict"] = verdict.of(cell, job, is_whole=not settings.quick)
        cell["time_to_loss_s"] = verdict.time_to_loss(cell, job)
        session.results["cells"].append(cell)
        tell(session, f"{job.name}: {cell['verdict']}")

    return measure


def _ceiling(session: Session, precision: str) -> Callable[[], None]:
    def measure() -> None:
        tell(session, f"the fastest matrix product in {precision}")
        device = session.request.config.output.device
        spec = Spec(
            "ceiling",
            [f"--device={device}"],
            seconds=_SWEEP * session.settings.measure_seconds,
            precision=precision,
        )
        found = runner.run(spec, session.folder)
        session.results["ceilings"][precision] = found

    return measure


def against(
    session: Session, jobs: Sequence[tuple[Job, Found]], command: runner.Command
) -> None:
    """Measures each job in turn with the peer."""
    settings = session.settings
    for job, facts in jobs:
        found = peer.compare(
            job,
            facts,
            command,
            session.folder,
            seconds=settings.measure_seconds / 2,
            turns=settings.alternations,
            whole=not settings.quick,
            tell=lambda line: tell(session, line),
        )
        whole = found.get("peer_whole", {})
        if "loss" in whole:
            found["peer_loss"] = whole["loss"]
            found["peer_to_loss_s"] = verdict.time_to_loss(whole, job)
            found["ours_to_loss_s"] = _time_to_loss(session, job, facts)
        session.results["peer"].append(found)
        save(session)


def _time_to_loss(session: Session, job: Job, facts: Found) -> float | None:
    """Ours, from the cell that was measured before."""
    key = job.name, facts["precision"]
    for cell in session.results["cells"]:
        if (cell["workload"], cell["precision"]) == key:
            found: float | None = cell["time_to_loss_s"]
            return found
    return None


def finish(session: Session, old: Found | None, *, is_complete: bool) -> int:
    """Prints and writes what is there; the exit status."""
    results, settings = session.results, session.settings
    rows = [table.row(cell, results["ceilings"]) for cell in results["cells"]]
    parts = [
        table.conditions(results["cells"]),
        table.speed(rows) if rows else "nothing was measured",
        table.work(rows),
        table.phases(rows),
        table.ceilings(results["ceilings"]),
        table.peers(results["peer"]),
        earlier.text(old, results["cells"], settings.compare) if old else "",
        results.get("warning") or "",
    ]
    progress.say("\n\n".join(part for part in parts if part))
    results["is_complete"] = is_complete
    save(session)
    if settings.csv and rows:
        disk.write(Path(settings.csv), table.in_csv(rows))
    return 1 if _is_bad(results) else 0


def save(session: Session) -> None:
    """Writes what is there, if that is wanted; whether it may was asked before."""
    if session.settings.json:
        data = json.dumps(session.results, indent=1).encode()
        disk.write(Path(session.settings.json), data)


def tell(session: Session, line: str) -> None:
    """Says what goes on, beside the results."""
    if not session.request.config.output.quiet:
        progress.warn(line)


def _is_bad(results: Found) -> bool:
    verdicts = [cell["verdict"] for cell in results["cells"]]
    is_wrong = any(each.startswith(("FAILED", "INVALID")) for each in verdicts)
    parts = [*results["ceilings"].values(), *results["peer"]]
    return is_wrong or any({"failed", "refused"} & part.keys() for part in parts)
