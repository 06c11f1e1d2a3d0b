"""A request checked, and its pictures read: all of a job that needs no JAX."""

from collections.abc import Sequence
from typing import NamedTuple

from nst_jax import claim, flags, idle, inputs, record, scales
from nst_jax.checkpoint import Checkpoint
from nst_jax.config import Config
from nst_jax.errors import RequestError


class Ready(NamedTuple):
    """A job that can be done."""

    config: Config
    files: record.Files
    pictures: inputs.Inputs
    notes: list[str]  # what is to be told before it starts
    checkpoint: Checkpoint | None  # that it goes on from


def checked(
    request: flags.Request,
    troubles: Sequence[str] = (),
    owned: frozenset[str] = frozenset(),
    read: inputs.Read = inputs.read_picture,
) -> Ready:
    """The job that is asked for.

    Args:
        request: what is asked for.
        troubles: more that is to be told before it starts.
        owned: files that may be replaced, as an earlier try of this job wrote them.
        read: reads a picture.

    Raises:
        RequestError: it cannot be done.
    """
    config = request.config
    files = record.plan(config)
    found = claim.looked_into(config.output)
    owned = owned | claim.owned(found)
    record.check(files, config, request.sources, owned)
    if owned:  # what is there is this run's own, or nothing is
        config = config.overwriting()
    if files.report:
        from nst_jax import report

        report.check()
    try:
        pictures = inputs.read(config, read)
    except MemoryError:
        raise RequestError(
            f"the pictures do not fit into memory at --size={config.inputs.size}; ask "
            "for a smaller one"
        ) from None
    record.check_shape(files, pictures.shape)
    shapes, settings = inputs.shapes(pictures, config), config.solve
    marks = scales.starts(len(shapes), settings.steps, settings.scale_steps)
    files = files._replace(steps=marks[-1])
    record.check_numbered(files, overwrite=config.output.overwrite)
    notes = [*troubles, *found.troubles, *idle.told(config, request.typed, shapes)]
    return Ready(config, files, pictures, notes, found.checkpoint)
