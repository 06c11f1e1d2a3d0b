"""All jobs checked before any is done; JAX is loaded only if it must be."""

import dataclasses
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from nst_jax.config import Config
from nst_jax.errors import RequestError
from nst_jax.many import entries, there
from nst_jax.many.asking import Asked
from nst_jax.many.entries import Entry, Shape
from nst_jax.many.summary import Came
from nst_jax.many.wrong import Wrong

# What gives a job its weights, `arrays.Weights`.
Load = Callable[[Config], Any]


class Checked(NamedTuple):
    """Jobs, and what is there of them."""

    entries: Sequence[Entry]  # in their own order
    left: list[Entry]  # those to be done, in the order in which they are
    owned: dict[int, frozenset[str]]  # files that a job may replace, by row
    shapes: dict[int, tuple[Shape, ...]]  # the result's and its styles' files', by row
    came: dict[int, Came]  # of those that are done or were begun, by row

    def kinds(self) -> list[int]:
        """How many jobs are left of each shape, one after the other."""
        found: dict[Shape, int] = {}
        for entry in self.left:
            shape = self.shapes[entry.number][0]
            found[shape] = found.get(shape, 0) + 1
        return [*found.values()]


def checked(
    mine: Sequence[Entry], asked: Asked, begun: Collection[str], wrong: Wrong
) -> Checked:
    """The jobs, and what is there of them; what cannot be done is noted.

    Args:
        mine: all jobs of this part.
        asked: what is asked for of all jobs together.
        begun: results of which an earlier start has said that it may have left a part.
        wrong: where it is noted.
    """
    shapes = entries.shapes(mine, wrong)
    came, owned, left = {}, {}, []
    states, bad = _states(mine, asked, begun, wrong), wrong.numbers()
    for entry in mine:
        found = states.get(entry.number, there.Found("new"))
        if found.state == "done":
            came[entry.number] = Came("there", found.steps, loss=found.loss)
            continue
        if found.state == "begun":
            owned[entry.number] = there.owned(entry)
            # A start that does not come to it must not forget that.
            came[entry.number] = Came("interrupted", found.steps or None)
        elif found.differs and entry.config.output.overwrite:
            entry = entries.anew(entry)  # its checkpoint is another's
        elif found.differs:
            wrong.add(
                entry.number,
                f"its result is there, made otherwise ({found.differs}); choose "
                "another name or allow --overwrite",
            )
            continue
        if entry.number not in bad:
            left.append(entry)
    entries.check_files(left, owned, wrong)
    left.sort(key=lambda entry: kind(entry, shapes[entry.number]))
    return Checked(mine, left, owned, shapes, came)


def _states(
    mine: Sequence[Entry], asked: Asked, begun: Collection[str], wrong: Wrong
) -> dict[int, there.Found]:
    """What is there of each job of which something is, by row."""
    old = [entry for entry in mine if not there.is_new(entry)]
    if not old:
        return {}
    # What was left to the program depends on the device.
    asked.prepare_jax()
    from nst_jax import devices, job

    picked, found = devices.pick(asked.device), {}
    for entry in old:
        with wrong.row(entry.number):
            config = job.resolve(entry.config, picked)
            found[entry.number] = there.found(entry, config, begun)
    return found


def kind(entry: Entry, shapes: tuple[Shape, ...]) -> tuple[Any, ...]:
    """What jobs have in common that share a network and what is compiled."""
    config = entry.config
    how = (config.network, config.objective, config.optimizer, config.solve)
    return (*map(repr, how), config.control.color, config.control.wrap, shapes)


def check_weights(left: Sequence[Entry], load: Load, wrong: Wrong) -> None:
    """Notes jobs whose weights cannot be had; fetches what is missing."""
    # Those of the first job last, so that they are at hand.
    for entry in reversed(left):
        with wrong.row(entry.number):
            load(entry.config)


def loader(device: Any, *, quiet: bool) -> Load:
    """What gives a job its weights, on a device; those given last are kept.

    Unless it is to be quiet, it shows what it fetches.
    """
    from nst_jax import job

    kept: dict[str, Any] = {}

    def load(config: Config) -> Any:
        named = config.network
        seed = config.inputs.seed if named.weights == "random" else 0
        key = repr((named.network, named.weights, seed))
        if key not in kept:
            kept.clear()
            try:
                output = dataclasses.replace(config.output, quiet=quiet)
                told = dataclasses.replace(config, output=output)
                kept[key] = job.loaded_on(device, told)
            except RequestError as error:
                kept[key] = error
        found = kept[key]
        if isinstance(found, RequestError):
            raise RequestError(str(found))
        return found

    return load
