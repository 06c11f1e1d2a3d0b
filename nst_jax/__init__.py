"""Neural style transfer as pure functions in JAX.

>>> import nst_jax
>>> config = nst_jax.Config(solve=nst_jax.SolveConfig(steps=10))
>>> config.solve.steps
10

What is named here is loaded when it is first used, so that importing the package
costs nothing. Everything else is in the modules: ARCHITECTURE.md draws the map.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nst_jax.config import Config as Config
    from nst_jax.config import ControlConfig as ControlConfig
    from nst_jax.config import InputConfig as InputConfig
    from nst_jax.config import MemoryConfig as MemoryConfig
    from nst_jax.config import NetworkConfig as NetworkConfig
    from nst_jax.config import ObjectiveConfig as ObjectiveConfig
    from nst_jax.config import OptimizerConfig as OptimizerConfig
    from nst_jax.config import OutputConfig as OutputConfig
    from nst_jax.config import SolveConfig as SolveConfig
    from nst_jax.images import write as save_image
    from nst_jax.inputs import load_image as load_image
    from nst_jax.pretrained import load as load_weights
    from nst_jax.transfer import Result as Result
    from nst_jax.transfer import stylize as stylize

__version__ = "0.1.0"

_HOMES = {
    "Config": ("nst_jax.config", "Config"),
    "ControlConfig": ("nst_jax.config", "ControlConfig"),
    "InputConfig": ("nst_jax.config", "InputConfig"),
    "NetworkConfig": ("nst_jax.config", "NetworkConfig"),
    "ObjectiveConfig": ("nst_jax.config", "ObjectiveConfig"),
    "OptimizerConfig": ("nst_jax.config", "OptimizerConfig"),
    "MemoryConfig": ("nst_jax.config", "MemoryConfig"),
    "OutputConfig": ("nst_jax.config", "OutputConfig"),
    "Result": ("nst_jax.transfer", "Result"),
    "SolveConfig": ("nst_jax.config", "SolveConfig"),
    "load_image": ("nst_jax.inputs", "load_image"),
    "load_weights": ("nst_jax.pretrained", "load"),
    "save_image": ("nst_jax.images", "write"),
    "stylize": ("nst_jax.transfer", "stylize"),
}

__all__ = [
    "Config",
    "ControlConfig",
    "InputConfig",
    "MemoryConfig",
    "NetworkConfig",
    "ObjectiveConfig",
    "OptimizerConfig",
    "OutputConfig",
    "Result",
    "SolveConfig",
    "__version__",
    "load_image",
    "load_weights",
    "save_image",
    "stylize",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nst_jax' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
