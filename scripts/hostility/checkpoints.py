"""Hostile checkpoints: cut, changed, and with a right digest over a wrong account."""

import functools
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hostility.cases import Case, broken
from nst_jax import checkpoint
from nst_jax.checkpoint import Checkpoint

_FILE = "kept/step-000010.safetensors"
_ABOUT: dict[str, Any] = {
    "settings": {"steps": "0"},
    "inputs": {},
    "made_with": {},
    "final": [40, 48],
    "files": ["/etc/passwd", "../photo.png"],
    "step": 10,
    "place": [0, 0, 0, 0],
    "shape": [40, 48],
    "settled": False,
    "seconds": 1.0,
    "recoveries": [],
    "scales": [{"shape": [40, 48], "steps": 10, "ended": "steps"}],
    "resumed": [],
}
_STRANGE: tuple[Any, ...] = (
    None,
    [],
    {},
    "",
    "a\nb\x1b[2J",
    -1,
    2**70,
    1e999,
    [[[]]],
    {"a": {"b": 1}},
)


def cases() -> Iterator[Case]:
    """All of them."""
    case = functools.partial(Case, role="checkpoint", expect="either", file=_FILE)
    whole = _bytes(_ABOUT)
    yield case(name="checkpoint of another run", data=whole)
    for each in broken("checkpoint", "checkpoint", whole, 12, 24):
        yield each._replace(file=_FILE)
    for field in _ABOUT:
        for index, value in enumerate(_STRANGE):
            data = _bytes({**_ABOUT, field: value})
            yield case(name=f"checkpoint, strange {field} {index}", data=data)
        rest = {name: value for name, value in _ABOUT.items() if name != field}
        yield case(name=f"checkpoint without {field}", data=_bytes(rest))
    for name, rows in {
        "no JSON": b"[",
        "deep JSON": b"[" * 100_000,
        "text": b'"a"',
        "strange rows": b'[{"step": "\\u001b"}, 3]',
    }.items():
        data = _bytes(_ABOUT, rows=np.frombuffer(rows, np.uint8))
        yield case(name=f"checkpoint, rows of {name}", data=data)
    for name, key, array in (
        ("of numbers", "between/000003", np.zeros((4, 4, 3), np.float32)),
        ("of one row", "between/000003", np.zeros(7, np.uint8)),
        ("of no step", "between/x", np.zeros((4, 4, 3), np.uint8)),
        ("elsewhere", "between/../../../a", np.zeros((4, 4, 3), np.uint8)),
    ):
        data = _bytes(_ABOUT, **{key: array})
        yield case(name=f"checkpoint, small pictures {name}", data=data)
    for name, text in {"long": "9" * 5000, "short": "1", "strange": "-3"}.items():
        data = _bytes({**_ABOUT, "made_with": {"history": text}})
        yield case(name=f"checkpoint of a {name} history", data=data)
        data = _bytes({**_ABOUT, "settings": {"steps": text}})
        yield case(name=f"checkpoint of {name} steps", data=data)
    yield case(
        name="checkpoint that is a picture", data=b"\x89PNG\r\n\x1a\n" + bytes(99)
    )
    deep = json.loads("[" * 500 + "]" * 500)
    yield case(name="checkpoint of deep JSON", data=_bytes({**_ABOUT, "inputs": deep}))


def _bytes(about: dict[str, Any], **arrays: np.ndarray) -> bytes:
    """The file of a checkpoint with that account, its digest right."""
    rows = np.frombuffer(b"[]", np.uint8)
    image = np.full((40, 48, 3), np.nan, np.float32)
    with tempfile.TemporaryDirectory() as folder:
        held: dict[str, np.ndarray] = {"rows": rows, ".image": image, **arrays}
        checkpoint.write(Path(folder), 10, Checkpoint(about, held))
        return Path(folder, "step-000010.safetensors").read_bytes()
