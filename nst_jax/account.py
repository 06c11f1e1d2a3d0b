"""The record of a run for other programs to read, beside its result."""

import hashlib
import json
from typing import Any, NamedTuple

from nst_jax import __version__, flagfile, words
from nst_jax.chronicle import Course
from nst_jax.course import Job
from nst_jax.trail import Frame


class End(NamedTuple):
    """How a job ended: its last frame, what went wrong, and seconds by phase."""

    last: Frame
    troubles: list[str]
    phases: dict[str, float]


def text(job: Job, way: Course, end: End, picture: bytes) -> str:
    """The record as JSON."""
    return json.dumps(_facts(job, way, end, picture), indent=1) + "\n"


def _facts(job: Job, way: Course, end: End, picture: bytes) -> dict[str, Any]:
    last, weights = end.last, job.weights
    inputs = {
        role: said.rpartition(" sha256 ") for role, said in job.inputs.files.items()
    }
    return {
        "program": f"nst-jax {__version__}",
        "preset": job.origin or None,
        "made_with": job.told.who.made_with,
        "network": {
            "name": weights.network,
            "weights": weights.name,
            "sha256": weights.digest,
        },
        "inputs": {
            role: {"file": name, "sha256": digest}
            for role, (name, _, digest) in inputs.items()
        },
        "settings": {
            field.name: value for field, value in flagfile.settings(job.config)
        },
        "seed": job.config.inputs.seed,
        "scales": [
            {"size": each.shape[::-1], "steps": each.steps, "ended": each.ended}
            for each in way.scales
        ],
        "steps": last.step,
        "resumed_after": job.told.resumed,
        "seconds": {name: round(each, 3) for name, each in end.phases.items()},
        "seconds_before": round(job.stood.seconds, 3) if job.stood else 0.0,
        "picture": {
            "size": last.image.shape[1::-1],
            "sha256": hashlib.sha256(picture).hexdigest(),
        },
        "terms": words.terms(last.terms) if last.terms else None,
        "recoveries": way.recoveries,
        "warnings": end.troubles,
    }
