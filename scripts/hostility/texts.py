"""Hostile settings: flagfiles, and pictures that carry them inside."""

from collections.abc import Iterator

import numpy as np

from hostility.cases import Case, Expect, broken
from nst_jax.images import encode

# Lines that no flagfile may hold; each is refused in one line.
_WRONG = (
    *("--size=", "--size=x", "--size=-1", "--size=1e3", "--size=" + "9" * 5000),
    *("--size=\u0663", "--size=0x20", "--size= 5 5", "--steps=9" + "0" * 30),
    *("--content_weight=nan", "--content_weight=inf", "--style_weight=-1"),
    *("--learning_rate=1e999", "--seed=99999999999", "--quiet=maybe", "--quiet=\x00"),
    *("--optimizer=", "--optimizer=adam\x1b[2J", "--optimizer=../../etc/passwd"),
    *("--style_scale=1,,2", '--style="a', "--style_layers=relu9_9", "--undefok=size"),
    *("--unknown=3", "---size=3", "--=3", "-", "--", "a word", "--size 40 50"),
    *("--flagfile=", "--flagfile=/dev/zero", "--flagfile=/", "--flagfile=none"),
    *("--flagfile=file.bin", "--preset=none", "--preset=../../etc/passwd"),
    *("--preset=gatys2016\n--from=a.png", "--from=none.png", "--help=3"),
    *("--output=/proc/none/out.png", "--output=", "--output=out.exe", "--output=/"),
    *("--report=out.png", "--metrics=out.png", "--preview=/dev/null"),
    *("--weights=none.h5", "--weights=/dev/zero", "--weights=vgg99", "--network=vgg99"),
    *("--device=tpu:99", "--init=none.png", "--content_mask=none.png", "--content=/"),
    *("--content=", "--style=", "--max_pixels=5", "--max_pixels=0", "--bit_depth=12"),
    *("--quality=101", "--cite=9", "--version=9", "\udcff\udcfe", "--\udcff=3"),
)
# Of a picture, which may come from anyone, these are refused as well.
_NOT_INSIDE = (
    *("--output=ran.png", "--metrics=ran.csv", "--report=ran.html", "--overwrite"),
    *("--flagfile=/etc/passwd", "-flagfile=x", "--preset=gatys2016", "--from=x.png"),
    *("--preview=ran.png", "--save_every=1", "--device=cuda:0", "--help", "--version"),
    *("--max_pixels=999999999999", "--offline=false", "--weights_source=index"),
)
# Harmless there: what is typed wins, or only a name is taken.
_IDLE = (
    *("--save_every=1", "--content=/", "--content=", "--init=none.png", "--style="),
    *(
        "--size=\u0663",
        "--weights=none.h5",
        "--weights=/dev/zero",
        "--weights=vgg99",
        "--",
    ),
)
_READ = (
    "",
    "# nothing\n",
    "--size=32\r\n",
    "\ufeff--size=32\n",
    "// nothing",
    "\n" * 999,
)


def cases() -> Iterator[Case]:
    """All of them."""
    for line in (*_WRONG, "--size=3\0"):
        data = line.encode("utf-8", "surrogateescape")
        expect: Expect = "either" if line == "--" else "refused"
        yield Case(f"flagfile: {_shown(line)}", "flagfile", data, expect)
    for line in _READ:
        yield Case(f"flagfile: {_shown(line)}", "flagfile", line.encode(), "read")
    draw = np.random.default_rng(9)
    for size in (1, 100, 10_000, 2 << 20):
        data = draw.integers(0, 256, size, np.uint8).tobytes()
        yield Case(f"flagfile of {size} random bytes", "flagfile", data, "either")
    yield from _many()
    for line in (*_WRONG, *_NOT_INSIDE):
        yield from _inside(line, "either" if line in _IDLE else "refused")
    for line in ("--size=32", "# nothing", "--content=/etc/passwd", "--steps=0"):
        yield from _inside(line, "read")
    huge = "--size=32\n" * 5000
    for form, data in _pictures(huge):
        yield from broken(f"{form} with settings", "from", data, 6, 20)


def _shown(line: str) -> str:
    return line[:40].encode("unicode_escape").decode()


def _many() -> Iterator[Case]:
    """Flagfiles that include others, or hold very much."""
    twice = {
        f"f{index}": f"--flagfile=f{index + 1}\n".encode() * 2 for index in range(40)
    }
    chain = {
        f"f{index}": f"--flagfile=f{index + 1}\n".encode() for index in range(3000)
    }
    for name, beside in {"two by two": twice, "3000 deep": chain}.items():
        yield Case(f"flagfiles, {name}", "flagfile", beside["f0"], beside=beside)
    circle = {"other": b"--flagfile=file.bin\n"}
    yield Case(
        "flagfiles in a circle", "flagfile", b"--flagfile=other\n", beside=circle
    )
    for name, data in {
        "100000 flags": b"--size=32\n" * 100_000,
        "100000 unknown flags": b"--x=3\n" * 100_000,
        "a long value": b"--style=" + b"a" * 900_000,
        "a long list": b"--style=" + b"a," * 400_000,
        "many quotes": b'--style="' + b'""' * 400_000,
        "a long line": b"-" * 900_000,
        "many megabytes": b"# x\n" * (1 << 20),
    }.items():
        yield Case(f"flagfile of {name}", "flagfile", data, "either")


def _pictures(settings: str) -> Iterator[tuple[str, bytes]]:
    """A picture of each format with that text as its settings."""
    samples = np.zeros((9, 9, 3), np.uint8)
    for form in ("PNG", "JPEG", "WEBP", "TIFF"):
        yield form, encode.encode(samples, form, 90, settings)


def _inside(line: str, expect: Expect) -> Iterator[Case]:
    text = line.encode("utf-8", "replace").decode()
    for form, data in _pictures(text):
        # One format is enough for each line, but for a few.
        if form == "PNG" or line in _NOT_INSIDE[:2]:
            yield Case(f"{form} with {_shown(line)}", "from", data, expect)
