"""Imports go one way, and each room knows only what it should."""

import ast
import re
import sys
from pathlib import Path

import pytest

import nst_jax
import nst_jax.config

ROOT = Path(nst_jax.__file__).parent
# From the inside outwards: a room imports only rooms that stand before it.
ORDER = [
    *(
        "errors",
        "settings",
        "layers",
        "scales",
        "budget",
        "config",
        "disk",
        "locks",
        "images",
    ),
    *(
        "pictures",
        "color",
        "regions",
        "arrays",
        "winograd",
        "convolution",
        "vgg",
        "lpips",
    ),
    *("tiles", "mesh", "places", "scans", "windows"),
    *("moments", "roots", "losses", "masks", "targets", "objective"),
    *(
        "lbfgs",
        "waves",
        "optimizers",
        "guard",
        "kept",
        "solve",
        "leaves",
        "balance",
        "devices",
        "pyramid",
        "footprint",
        "fitting",
        "memory",
        "guides",
        "prepare",
        "noise",
        "stages",
        "transfer",
        "batch",
    ),
    *(
        "pretrained",
        "quality",
        "areas",
        "inputs",
        "flagfile",
        "record",
        "checkpoint",
        "claim",
        "chronicle",
        "metrics",
        "progress",
        "signals",
        "hosts",
        "resume",
    ),
    *("trail", "report", "preset", "citations", "usage"),
    *(
        "arguments",
        "flags",
        "idle",
        "words",
        "compiled",
        "conditions",
        "course",
        "beginning",
        "account",
        "ending",
        "ready",
        "job",
    ),
    *("hugepages", "start", "many", "run", "__main__"),
    *("show", "benchmark", "app"),
]
# Packages that only some rooms may know.
RESERVED = {
    "PIL": {"images"},
    "imagecodecs": {"images"},
    "absl": {"arguments"},
    "tqdm": {"progress", "pretrained"},
    "h5py": {"pretrained"},
    "safetensors": {"pretrained", "checkpoint"},
    "filelock": {"pretrained"},
    "platformdirs": {"pretrained", "compiled"},
    "flax": {"vgg"},
    "optax": {"optimizers", "lbfgs", "pyramid"},
    "matplotlib": {"report", "show"},
    "starlette": {"app"},
    "uvicorn": {"app"},
    "jax": set(ORDER[ORDER.index("arrays") : ORDER.index("batch") + 1])
    | {"pretrained", "quality", "hosts", "ending", "job", "show", "benchmark", "app"},
}


def imported(path):
    """Every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def rooms():
    for path in sorted(ROOT.rglob("*.py")):
        room = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if room != "__init__":
            yield room, path


def test_every_room_is_on_the_map():
    assert {room for room, _ in rooms()} == set(ORDER)
    text = (ROOT.parent / "ARCHITECTURE.md").read_text()
    missing = [room for room in ORDER if f"`{room}.py`" not in text]
    assert [room for room in missing if f"`{room}/`" not in text] == []


@pytest.mark.parametrize(
    ("room", "path"), list(rooms()), ids=lambda value: getattr(value, "name", value)
)
def test_imports_point_inwards(room, path):
    for name in imported(path):
        top, *rest = name.split(".")
        if top == "nst_jax":
            other = rest[0] if rest else ""
            if other in ORDER and other != room:
                assert ORDER.index(other) < ORDER.index(room), name
        else:
            assert room in RESERVED.get(top, {room}), name
            assert "_src" not in rest, f"{name} is private"


@pytest.mark.parametrize(
    "room", ["errors", "settings", "layers", "scales", "budget", "config"]
)
def test_settings_need_the_standard_library_only(room):
    for name in (n for other, path in rooms() if other == room for n in imported(path)):
        top = name.partition(".")[0]
        assert top == "nst_jax" or top in sys.stdlib_module_names


def knows_config(names):
    return any(name.startswith("nst_jax.config") for name in names)


def test_config_stops_at_the_composing_rooms():
    composing = {
        "objective",
        "optimizers",
        "guides",
        "prepare",
        "noise",
        "stages",
        "transfer",
        "memory",
    }
    core = ORDER[ORDER.index("arrays") : ORDER.index("transfer") + 1]
    assert composing < set(core)
    for room, path in rooms():
        if room in core:
            assert knows_config(imported(path)) == (room in composing), room
    assert knows_config(["nst_jax.config.Config"])
    text = (ROOT.parent / "ARCHITECTURE.md").read_text()
    told = re.search(r"(?s)composing rooms: (.*?)\.", text)
    listed = re.search(r"(?s)composing rooms \((.*?)\)", nst_jax.config.__doc__)
    for found in (told, listed):
        assert set(re.findall(r"\w+", found[1])) - {"and"} == composing
