"""What the page asks for, as the command line that gives the same picture.

Only the settings in `CONTROLS` may come from the page, each as the text of one flag;
pictures come by the keys of the shelf. Settings in an earlier result are of strangers:
of the files that they name none is opened.
"""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nst_jax import flagfile, flags, start
from nst_jax.app.asked import Defaults
from nst_jax.app.shelf import Shelf, plain
from nst_jax.config import FIRST_IMAGES, Config
from nst_jax.errors import RequestError

# Settings that the page may change.
CONTROLS = (
    *("size", "steps", "strength", "style_weights", "style_scale", "color"),
    *("color_when", "init", "seed"),
)
# Masks that are painted in the page.
MASKS = ("content_mask", "protect", "fill")
SUFFIXES = (".png", ".jpg", ".webp")
_MOST_PAINTINGS = 8
_LONGEST = 200
_JOB = flags.Program(flags.RUN.needed, str, defaults={"quiet": True})
_BEGINNING = flags.Program({}, str)


class Order(NamedTuple):
    """What the page asks for; pictures are keys of the shelf."""

    photo: str = ""
    paintings: tuple[str, ...] = ()
    preset: str = ""
    earlier: str = ""  # a result whose settings are the beginning
    masks: Mapping[str, str] = {}
    settings: Mapping[str, str] = {}
    suffix: str = ".png"


class Plan(NamedTuple):
    """An order as a command line, and what that means."""

    request: flags.Request
    command: str  # as a person would type it, with bare names


def read(data: Any) -> Order:
    """The order in what the page sent."""
    if not isinstance(data, dict) or data.keys() - set(Order._fields):
        raise RequestError(f"expected {', '.join(Order._fields)}, got something else")
    order = Order(
        **{name: _text(data.get(name, "")) for name in ("photo", "preset", "earlier")},
        paintings=tuple(map(_text, _typed(data.get("paintings", []), list))),
        masks=_texts(data.get("masks", {}), MASKS),
        settings=_texts(data.get("settings", {}), CONTROLS),
        suffix=data.get("suffix", ".png"),
    )
    if order.suffix not in SUFFIXES:
        raise RequestError(f"the format must be one of {', '.join(SUFFIXES)}")
    if len(order.paintings) > _MOST_PAINTINGS:
        raise RequestError(
            f"expected at most {_MOST_PAINTINGS} paintings, got "
            f"{len(order.paintings)}; take some away"
        )
    return order


def _typed(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise RequestError(f"expected a {kind.__name__}, got something else")
    return value


def _text(value: Any) -> str:
    text: str = _typed(value, str)
    if len(text) > _LONGEST:
        raise RequestError(f"expected at most {_LONGEST} letters, got {len(text)}")
    return text


def _texts(value: Any, names: tuple[str, ...]) -> dict[str, str]:
    for name in _typed(value, dict):
        if name not in names:
            raise RequestError(f"expected some of {', '.join(names)}, got another name")
    return {name: _text(each) for name, each in value.items() if each != ""}


def beginning(order: Order, shelf: Shelf, defaults: Defaults) -> Config:
    """The settings that the page's own override: a preset's or an earlier result's."""
    return _parsed([*_base(order, shelf), *defaults.flags], _BEGINNING).config


def of_preset(name: str, defaults: Defaults) -> Config:
    """The settings that a preset begins with."""
    return _parsed([f"--preset={name}", *defaults.flags], _BEGINNING).config


def _parsed(rows: list[str], program: flags.Program) -> flags.Request:
    found = flags.parse(rows, read_settings=start.read_settings, program=program)
    if found.answer:  # --preset=help
        raise RequestError("expected the name of a preset, got a question")
    return found


def plan(order: Order, shelf: Shelf, defaults: Defaults, folder: Path) -> Plan:
    """The order as a command line whose result goes into that folder."""
    if not (order.photo and order.paintings):
        missing = "a painting" if order.photo else "a photo"
        raise RequestError(f"{missing} is missing; drop one on the page")
    base = beginning(order, shelf, defaults)
    paths = [shelf.look_up(key).path for key in order.paintings]
    photo = shelf.look_up(order.photo).path
    masks = {name: str(shelf.look_up(key).path) for name, key in order.masks.items()}
    name = plain(f"{photo.stem}-{'-'.join(path.stem for path in paths)}")
    rows = [
        *_base(order, shelf),
        *defaults.flags,
        *_cleared(base, len(paths)),
        f"--content={photo}",
        f"--style={flagfile.to_text(tuple(map(str, paths)))}",
        *(f"--{role}={masks[role]}" for role in MASKS if role in masks),
        *(f"--{name}={value}" for name, value in order.settings.items()),
        f"--output={folder / (name.partition('.')[0] + order.suffix)}",
    ]
    request = _parsed(rows, _JOB)
    _check_files(request.config, shelf, defaults)
    return Plan(request, _command(rows, shelf))


def _base(order: Order, shelf: Shelf) -> list[str]:
    if order.earlier:
        return [f"--from={shelf.look_up(order.earlier).path}"]
    return [f"--preset={order.preset}"] if order.preset else []


def _cleared(base: Config, paintings: int) -> list[str]:
    """What an earlier result names and the page has not."""
    rows = []
    if base.control.content_mask:
        rows += ["--content_mask=", "--style_mask=", "--region_weights=1"]
    rows += [
        f"--{name}=" for name in ("protect", "fill") if getattr(base.control, name)
    ]
    if base.inputs.init not in FIRST_IMAGES:
        rows.append("--init=content")
    each = {
        "style_weights": base.objective.style_weights,
        "style_scale": base.inputs.style_scale,
    }
    rows += [f"--{name}=1" for name, e in each.items() if len(e) not in (1, paintings)]
    return rows


def lost(config: Config) -> list[str]:
    """What of an earlier result's settings the page cannot repeat, for people."""
    control = config.control
    notes = []
    if control.content_mask or control.protect or control.fill:
        notes.append("Its masks are not inside the picture: paint them again.")
    if config.inputs.init not in FIRST_IMAGES:
        notes.append(
            "It began with a picture of its own; this one begins with the photo."
        )
    return notes


def _check_files(config: Config, shelf: Shelf, defaults: Defaults) -> None:
    """Refuses every file that was not handed in, whatever named it."""
    trusted = {defaults.config.network.weights}
    for field, value in flagfile.settings(config):
        if field.metadata["file"] != "read":
            continue
        for path in value if isinstance(value, tuple) else (value,):
            if not flagfile.is_path(field, path) or path in trusted:
                continue
            if not shelf.holds(path):
                raise RequestError(
                    f"the settings name a file of their own, {Path(path).name!r} for "
                    f"--{field.name}, which the page does not open; leave them out"
                )


def _command(rows: list[str], shelf: Shelf) -> str:
    bare = map(shelf.bare, rows)
    return shlex.join(["python", "-m", "nst_jax.run", *bare])


def about(config: Config) -> dict[str, Any]:
    """The settings that the page shows, as its controls know them."""
    inputs, control, goal = config.inputs, config.control, config.objective
    strength = goal.balanced_strength()
    return {
        "size": inputs.size,
        "steps": config.solve.steps,
        "strength": strength,
        "style_scale": inputs.style_scale[0],
        "color": control.color,
        "color_when": control.color_when,
        "init": inputs.init if inputs.init in FIRST_IMAGES else "content",
        "seed": inputs.seed,
    }
