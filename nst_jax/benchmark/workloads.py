"""Frozen jobs: the same pictures, network, settings and goal, whenever it is measured.

A workload never changes: another number in one is another version of it. Every
setting that matters is written out, so that a new default of the program changes
nothing here. A setting that comes later must by default leave all of them as they were;
the targets tell.
"""

import difflib
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import nst_jax
from nst_jax import flagfile, images
from nst_jax.config import InputConfig
from nst_jax.errors import RequestError

# How far the loss may be from the target, to either side.
TOLERANCE = 0.01
# The shipped pictures: the content is cut to the square in its middle.
PICTURES = {
    "content.jpg": "ac0cf8d31b90e98cb808001721db1d5e0a39ab18f81d4d1ea3487e8542833dc6",
    "style.jpg": "3be69d267b337cc972e2aa75a9e4e80a8e6f8bb7dab13fc810f5e378285b532e",
}

# The sha256 of the weights vgg19-caffe, which every target was measured with.
VGG19 = "ce3273d6f038226dc1e0f699f02f0ab72977df556f7b88fb3655820f7a1aa6c4"


class Workload(NamedTuple):
    """One frozen job.

    The target is the total after all steps, measured in float32 with the weights of
    that sha256; None until somebody has. Direct convolutions and Winograd's end within
    0.02 % of each other.
    """

    name: str
    about: str
    settings: str
    target: float | None
    weights: str = VGG19


_COMMON = """\
--size_rule=long
--size_rounding=nearest
--enlarge=all
--style_scale=1
--filter=lanczos
--antialias
--resize_depth=float
--init=content
--seed=0
--color=none
--wrap=none
--network=vgg19
--weights=vgg19-caffe
--pool_rounding=floor
--pool_scale=1
--input_scale=0
--notranspose_kernels
--content_weight=1
--content_layers=relu4_2
--content_loss=mean
--laplacian_weight=0
--style_weight=30
--style_layers=relu1_1,relu2_1,relu3_1,relu4_1,relu5_1
--style_loss=gram
--gram_division=elements
--style_reduction=mean
--style_weights=1
--balance=none
--scales=none
--keep=last
"""
# The program's own choices.
_OWN = """\
--fit=keep
--pooling=avg
--padding=replicate
--tv_weight=15
--tv_loss=mean_squared
--tv_range=255
"""
# What is common to most programs of the field: nothing but Gram and content.
_PLAIN = """\
--fit=crop
--pooling=max
--padding=zero
--tv_weight=0
"""
_ADAM = """\
--optimizer=adam
--learning_rate=0.02
--schedule=constant
--warmup_steps=0
--beta1=0.9
--beta2=0.99
--epsilon=1e-8
--epsilon_place=root
--nonesterov
--box=step
"""
_LBFGS = """\
--optimizer=lbfgs
--learning_rate=1
--schedule=constant
--warmup_steps=0
--history=10
--line_search=zoom
--linesearch_steps=20
--box=end
"""


def _settings(size: int, steps: int, *parts: str) -> str:
    return f"--size={size}\n--steps={steps}\n" + _COMMON + "".join(parts)


WORKLOADS = (
    Workload(
        "nst-256-adam-200/v1",
        "small and quick to validate: 200 steps of Adam at 256x256",
        _settings(256, 200, _OWN, _ADAM),
        target=149477.0,
    ),
    Workload(
        "nst-512-adam-500/v1",
        "the usual size: 500 steps of Adam at 512x512",
        _settings(512, 500, _OWN, _ADAM),
        target=104038.0,
    ),
    Workload(
        "nst-512-lbfgs-200/v1",
        "the default optimiser with its line search: 200 steps at 512x512",
        _settings(512, 200, _OWN, _LBFGS),
        target=103266.0,
    ),
    Workload(
        "nst-512-plain-300/v1",
        "as most programs do it: maximum pooling, Gram and content alone, 300 steps of "
        "Adam at 512x512",
        _settings(512, 300, _PLAIN, _ADAM),
        target=673005.0,
    ),
    Workload(
        "nst-1024-adam-100/v1",
        "large: 100 steps of Adam at 1024x1024",
        _settings(1024, 100, _OWN, _ADAM),
        target=107870.0,
    ),
)
DEFAULT = "nst-512-adam-500/v1"


def look_up(names: Sequence[str]) -> list[Workload]:
    """The workloads of those names, each once; `all` names all of them."""
    known = {each.name: each for each in WORKLOADS}
    if "all" in names:
        return list(WORKLOADS)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.3)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise RequestError(
                f"--workload must name some of {', '.join(known)}, or all, got "
                f"{flagfile.shown(name)}{hint}"
            )
    return [known[name] for name in dict.fromkeys(names)]


def arguments(workload: Workload, pictures: Path) -> list[str]:
    """The flags of a run that does the job, with the pictures of that folder."""
    content, style = pictures / "content.png", pictures / "style.jpg"
    files = {"content": str(content), "style": flagfile.to_text((str(style),))}
    given = [f"--{name}={path}" for name, path in files.items()]
    return [*flagfile.lines(workload.settings), *given]


def lay_out(folder: Path, places: Sequence[Path] = ()) -> None:
    """Puts the pictures of the workloads into a folder."""
    for name, digest in PICTURES.items():
        data = _found(name, places or _places()).read_bytes()
        if hashlib.sha256(data).hexdigest() != digest:
            raise RequestError(
                f"the shipped {name} has been changed, so no frozen workload can be "
                f"measured; put back the one with sha256 {digest}"
            )
        (folder / name).write_bytes(data)
    whole = images.read(folder / "content.jpg", max_pixels=InputConfig().max_pixels)
    rows, columns, _ = whole.pixels.shape
    side = min(rows, columns)
    top, left = (rows - side) // 2, (columns - side) // 2
    square = whole.pixels[top : top + side, left : left + side]
    images.write(folder / "content.png", square)


def _places() -> tuple[Path, ...]:
    """Where the shipped pictures are: in the installed package, or its checkout."""
    package = Path(nst_jax.__file__).parent
    return package / "benchmark" / "pictures", package.parent / "examples"


def _found(name: str, places: Sequence[Path]) -> Path:
    for place in places:
        if (place / name).is_file():
            return place / name
    raise RequestError(
        f"the shipped {name} is neither in the package nor in a checkout's examples/; "
        f"install nst-jax again"
    )
