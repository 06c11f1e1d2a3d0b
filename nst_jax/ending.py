"""What a job leaves at its end: the picture, its settings, its record, its report."""

import jax

from nst_jax import (
    __version__,
    account,
    devices,
    disk,
    flagfile,
    memory,
    progress,
    record,
    scales,
    trail,
    words,
)
from nst_jax import report as reports
from nst_jax.account import End
from nst_jax.chronicle import Course
from nst_jax.course import Job


def keep(job: Job, way: Course, end: End) -> record.Kept:
    """Writes the result, its settings and its record."""
    last = end.last
    facts = {
        **job.inputs.files,
        "weights": f"{job.weights.name} sha256 {job.weights.digest}",
        **({"preset": job.origin} if job.origin else {}),
        "made by": f"nst-jax {__version__}, jax {jax.__version__}",
        "steps done": str(last.step),
    }
    inside, beside = job.texts
    output, settings = job.files.output, job.config.output
    data = trail.encoded(
        output,
        job.inputs,
        last,
        settings,
        bit_depth=int(settings.bit_depth),
        text=record.with_facts(inside, facts) if inside else None,
    )
    text = record.with_facts(beside, facts)
    # The content, not a single step done, must not take an earlier result's place.
    done = last.step > 0 or job.files.steps == 0
    told = account.text(job, way, end, data)
    replaces = settings.overwrite and done
    return record.keep(job.files, data, text, told, overwrite=replaces)


def report(job: Job, way: Course, end: End) -> bool:
    """Writes the report, if one was asked for; whether that failed."""
    path, settings = job.files.report, job.config.output
    if path is None:
        return False
    names = [f"{columns} x {rows}" for rows, columns in job.shapes]
    settled = job.config.solve
    marks = scales.starts(len(names), settled.steps, settled.scale_steps)
    device = devices.pick(settings.device)
    facts = words.facts(job.config, devices.describe(device), job.weights, job.origin)
    run = reports.Run(
        title=job.files.output.name,
        content=job.inputs.content,
        styles=job.inputs.styles,
        result=end.last.image,
        settings=flagfile.dump(job.config, folders=False),
        rows=way.notes.rows,
        between=way.notes.between,
        scales=list(zip(marks, names, strict=False))
        if len(names) > 1 and settled.steps
        else (),
        phases=end.phases,
        peak_memory=memory.peaks(device),
        facts=facts | job.inputs.files,
        warnings=end.troubles,
    )
    try:
        disk.write(path, reports.html(run).encode(), overwrite=settings.overwrite)
    # The picture is safe by now: whatever it is, one line tells of it.
    except Exception as error:
        why = disk.reason(error) if isinstance(error, OSError) else repr(error)
        progress.warn(f"{str(path)!r} could not be written ({why})")
        return True
    return False
