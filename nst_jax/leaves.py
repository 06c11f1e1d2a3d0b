"""A state as arrays with names, and back: what a checkpoint holds of a run."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from nst_jax.errors import RequestError


def named(state: Any) -> dict[str, np.ndarray]:
    """The arrays on the host, by the path that leads to each.

    They may share the device's memory: to be let go before the next chunk.
    """
    found = jax.tree_util.tree_leaves_with_path(state)
    arrays = jax.device_get([leaf for _, leaf in found])
    return {
        jax.tree_util.keystr(path): np.asarray(array)
        for (path, _), array in zip(found, arrays, strict=True)
    }


def restored(like: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """The state of these arrays, still on the host.

    Args:
        like: a state of the same structure, or its shapes and types alone.
        arrays: as `named` gave them.

    Raises:
        RequestError: they are of another structure.
    """
    paths, structure = jax.tree_util.tree_flatten_with_path(like)
    wanted = {jax.tree_util.keystr(path): leaf for path, leaf in paths}
    for name in sorted(wanted.keys() | arrays.keys()):
        goal, found = _form(wanted.get(name)), _form(arrays.get(name))
        if goal != found:
            raise RequestError(
                f"the checkpoint is of another kind of run: expected {goal} at "
                f"{name!r}, found {found}; go on with the version that wrote it"
            )
    made = [np.asarray(arrays[name], leaf.dtype) for name, leaf in wanted.items()]
    return jax.tree.unflatten(structure, made)


def _form(array: Any) -> str:
    return "nothing" if array is None else f"{array.dtype}{list(array.shape)}"
