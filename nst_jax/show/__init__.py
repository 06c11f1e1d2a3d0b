"""Looks into the network: `python -m nst_jax.show COMMAND [FLAGS]`.

Each command answers one question about a network or a picture, as a figure or a
table; `exhibits` does the work. As in `run`, everything that can be checked is
checked before JAX is loaded, and the exit status is 0, 2 for a wrong request, or 1
where it broke.
"""

import copy
import dataclasses
import difflib
import functools
import itertools
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from nst_jax import __version__, flagfile, flags, progress, start, usage
from nst_jax.config import Config
from nst_jax.errors import RequestError
from nst_jax.show import asked, comparison, exhibits, matching, sweeps, variations
from nst_jax.show.asked import ShowConfig


class Command(NamedTuple):
    """One thing that can be shown.

    `needed` are flags that must be there, with a word for the value of each; `own`
    are the fields of ShowConfig that it heeds; `shared` are the settings of a run
    that its help names; `defaults` is where it differs from a run; `leading` is the
    flag whose values may stand first, by themselves; `output` is what is written;
    `sweep` is the work where settings have several values.
    """

    work: Callable[[flags.Request], int]
    about: str
    needed: Mapping[str, str]
    own: tuple[str, ...]
    shared: tuple[str, ...]
    defaults: Mapping[str, Any]
    leading: str = ""
    output: str = "The figure, a .png file."
    sweep: (
        Callable[[Sequence[variations.Axis], Sequence[flags.Request]], int] | None
    ) = None


COMMANDS = {
    "network": Command(
        exhibits.network,
        "Layers with the shapes of their features, parameters and receptive fields.",
        needed={},
        own=("image", "layers", "csv"),
        shared=("network", "size", "pool_rounding", "overwrite"),
        defaults={},
    ),
    "features": Command(
        exhibits.features,
        "All maps that a layer makes of a picture, as one sheet for each layer.",
        needed={"image": "PICTURE", "output": "FIGURE.png"},
        own=("image", "layers", "columns"),
        shared=("output", "network", "weights", "size", "pooling", "overwrite"),
        defaults={},
    ),
    "filters": Command(
        exhibits.filters,
        "The first layer's kernels, in colours.",
        needed={"output": "FIGURE.png"},
        own=("columns",),
        shared=("output", "network", "weights", "overwrite"),
        defaults={},
    ),
    "reconstruct": Command(
        exhibits.reconstruct,
        "What layers keep: the photo from each of --content_layers, the painting's "
        "texture from the first of --style_layers, the first two, and so on. Takes "
        "minutes.",
        needed={"output": "FIGURE.png"},
        own=(),
        shared=(
            *("content", "style", "output", "network", "weights", "size", "steps"),
            *("content_layers", "style_layers", "tv_weight", "pooling", "overwrite"),
        ),
        defaults={
            "size": 224,
            "steps": 200,
            "tv_weight": 1e-4,
            "content_layers": tuple(f"relu{block}_2" for block in range(1, 6)),
        },
    ),
    "losses": Command(
        exhibits.losses,
        "Every term of any picture, made by whatever program, as a run would weigh it.",
        needed={"image": "PICTURE", "content": "PHOTO", "style": "PAINTING"},
        own=("image", "csv"),
        shared=(
            *("content", "style", "network", "weights", "size", "content_layers"),
            *("content_loss", "style_layers", "style_loss", "pooling", "overwrite"),
        ),
        defaults={},
    ),
    "compare": Command(
        comparison.compare,
        "How near each picture is to the first, or to --content, and to --style: "
        "SSIM, PSNR, LPIPS, and distances between features. All are compared at the "
        "size of the smallest, or at --size.",
        needed={"pictures": "PICTURE,MORE"},
        own=("pictures", "csv"),
        shared=(
            *("content", "style", "network", "weights", "size", "content_layers"),
            *("style_layers", "pooling", "weights_source", "offline", "overwrite"),
        ),
        defaults={"size": 0},
        leading="pictures",
    ),
    "masks": Command(
        matching.masks,
        "Regions that a photo and paintings have in common, sky with sky, as pictures "
        "for --content_mask and --style_mask that can be painted over.",
        needed={"content": "PHOTO", "style": "PAINTING", "output": "FOLDER"},
        own=("regions",),
        shared=(
            *("content", "style", "output", "network", "weights", "size", "seed"),
            "overwrite",
        ),
        defaults={},
        output="A folder, or what the names of the files begin with.",
    ),
    "sweep": Command(
        sweeps.nothing_varied,
        "A photo in variations, as a sheet of small pictures: up to three settings of "
        "a run with several values each, as --style_weight=10,30,100 or "
        "--style=A.jpg,B.jpg. The first goes along the columns, the second along the "
        "rows.",
        needed={"content": "PHOTO", "style": "PAINTING", "output": "FIGURE.png"},
        own=(),
        shared=(
            *("preset", "content", "style", "output", "network", "weights", "size"),
            *("steps", "content_weight", "style_weight", "tv_weight", "style_scale"),
            *("color", "init", "optimizer", "learning_rate", "pooling", "overwrite"),
        ),
        defaults={"size": 192, "steps": 60},
        sweep=sweeps.sweep,
    ),
}


def main(argv: Sequence[str]) -> int:
    """Does what the arguments ask for; the exit status."""
    return start.answered(lambda: _main(argv))


def _main(argv: Sequence[str]) -> int:
    name, *rest = argv or ("--help",)
    if name in ("--help", "-help", "-h"):
        progress.say(_overview())
        return 0
    command = _command(name)
    program = flags.Program(
        command.needed, lambda: _help(name), ShowConfig, command.defaults
    )
    read = functools.partial(
        flags.parse, read_settings=start.read_settings, program=program
    )
    if command.sweep:
        plain, axes = variations.split(rest, command.defaults)
    else:
        plain, axes = _in_flags(rest, command.leading), []
    first, *others = variations.arguments(plain, axes)
    request = read(first)
    if request.answer:
        progress.say(request.answer)
        return 0
    for field in dataclasses.fields(ShowConfig):
        if field.name in request.given and field.name not in command.own:
            raise RequestError(
                f"--{field.name} is not for {name}: leave it out; show {name} --help "
                "lists the flags"
            )
    if not (command.sweep and axes):
        return _guarded(functools.partial(command.work, request))
    requests = [request, *map(read, others)]
    return _guarded(functools.partial(command.sweep, axes, requests))


def _command(name: str) -> Command:
    if name in COMMANDS:
        return COMMANDS[name]
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise RequestError(
        f"the first argument must be one of {', '.join(COMMANDS)}, got {name!r}{hint}"
    )


def _in_flags(arguments: Sequence[str], leading: str) -> list[str]:
    """The arguments, those before the first flag as the value of that flag."""
    first = [*itertools.takewhile(lambda each: not each.startswith("-"), arguments)]
    if not leading or not first:
        return [*arguments]
    return [f"--{leading}={flagfile.to_text(tuple(first))}", *arguments[len(first) :]]


def _guarded(work: Callable[[], int]) -> int:
    """The status of the work, 1 where it broke."""
    try:
        return work()
    except RequestError:
        raise
    except asked.Unfinished as error:
        return _broken(error.fault, [repr(str(path)) for path in error.written])
    # Whatever it is, it is told as a run tells it.
    except Exception as error:
        return _broken(error, [])


def _broken(error: Exception, written: Sequence[str]) -> int:
    """Says what broke and what is there all the same; the status."""
    from nst_jax import words

    left = ", ".join(written) or "nothing"
    progress.warn(f"{words.fault(error)}; written before that: {left}")
    return 1


def _overview() -> str:
    rows = [usage.entry(name, command.about) for name, command in COMMANDS.items()]
    return "\n".join(
        [
            f"nst-jax {__version__}: looks into the network\n",
            "python -m nst_jax.show COMMAND [FLAGS]\n",
            *rows,
            "\npython -m nst_jax.show COMMAND --help explains the flags of a command.",
        ]
    )


def _help(name: str) -> str:
    command = COMMANDS[name]
    needed = " ".join(
        word.replace(",", " ") if flag == command.leading else f"--{flag}={word}"
        for flag, word in command.needed.items()
    )
    return "\n".join(
        [
            _wrapped(command.about),
            "",
            _wrapped(f"python -m nst_jax.show {name} {needed} [FLAGS]"),
            "",
            *_rows(command),
            "",
            _wrapped(
                "All flags that choose a network, a device or where settings come from "
                "count as in a run: python -m nst_jax.run --help explains them."
            ),
        ]
    )


def _rows(command: Command) -> Iterator[str]:
    """The flags that a command heeds, with its own defaults."""
    own = {field.name: field for field in dataclasses.fields(ShowConfig)}
    known = {**flags.settings(Config), **own}
    for name in (*command.own, *command.shared):
        if name == "output":
            yield usage.entry("--output=FILE", command.output)
            continue
        if name in usage.NOT_SETTINGS:
            yield usage.entry(f"--{name}=NAME", usage.NOT_SETTINGS[name])
            continue
        field = copy.copy(known[name])
        field.default = command.defaults.get(name, field.default)
        yield usage.described(field)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 88, break_on_hyphens=False)
