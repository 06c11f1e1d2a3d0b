"""What does the work: what JAX sees, what is here of the networks, what fits.

JAX is loaded by the functions here, not by this room.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from nst_jax import start
from nst_jax.app import orders, pace, wording
from nst_jax.app.asked import Defaults
from nst_jax.config import Config
from nst_jax.errors import RequestError

Shape = tuple[int, int]


class Device(NamedTuple):
    """What does the work, as far as it is known."""

    name: str = ""
    precision: str = ""
    trouble: str = ""
    # Of each preset the bytes that must be fetched for it, or why it cannot be had.
    fetch: Mapping[str, int | str] = MappingProxyType({})
    rate: float = 0.0  # seconds for a million pixels and a step
    is_measured: bool = False


def check_memory(content: Shape, styles: Sequence[Shape], config: Config) -> None:
    """Raises unless a job fits, before its pictures are read and enlarged."""
    import jax

    from nst_jax import devices, job, memory, prepare

    device = devices.pick(config.output.device)
    config = job.resolve(config, device)
    with jax.default_device(device):
        memory.fitted(content, styles, config, prepare.forward(config))


def look(defaults: Defaults, before: Device) -> Device:
    """What JAX sees, and what of the networks is here. Loads JAX."""
    settings = defaults.config
    start.prepare_jax(settings.output.device, settings.spread.devices)
    from nst_jax import devices, job

    found = devices.pick(settings.output.device)
    return before._replace(
        name=devices.describe(found),
        precision=job.resolve(settings, found).network.precision,
        fetch=to_fetch(defaults),
        rate=pace.guess(found.platform),
    )


def to_fetch(defaults: Defaults) -> dict[str, int | str]:
    """Of each preset the bytes that must be fetched for it, or why it cannot be had."""
    from nst_jax import pretrained

    settings = defaults.config.network
    fetch: dict[str, int | str] = {}
    for name in wording.PRESETS:
        network = orders.of_preset(name, defaults).network
        try:
            fetch[name] = pretrained.to_fetch(
                network.network,
                network.weights,
                source=settings.weights_source,
                offline=settings.offline,
            )
        except RequestError as error:
            fetch[name] = wording.plain(str(error))
    return fetch
