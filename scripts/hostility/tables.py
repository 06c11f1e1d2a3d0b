"""Hostile tables of jobs: CSV and JSON that lie, rows that ask for too much."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from hostility.cases import Case, Expect, broken

_PAIR = "../photo.png,../painting.png"
_CSV = f"content,style,output,steps,seed\n{_PAIR},out.png,0,3\n{_PAIR},out.2.png,,4\n"
_ROW: dict[str, Any] = {
    "content": "../photo.png",
    "style": ["../painting.png"],
    "output": "out.png",
}
# What no row may give; each is refused in one line.
_WRONG: tuple[dict[str, Any], ...] = (
    *({"output": "../out.png"}, {"output": "/tmp/ran.png"}, {"output": ".."}),
    *({"output": "a/../../out.png"}, {"output": "."}, {"output": "\u0000.png"}),
    *({"output": "out.png\n"}, {"output": "out.exe"}, {"output": "x" * 5000}),
    *({"metrics": "../ran.csv"}, {"preview": "/etc/ran.png"}, {"report": "out.png"}),
    *({"checkpoint": "../kept"}, {"checkpoint": "out.png"}, {"metrics": "out.json"}),
    *({"metrics": "summary.csv"}, {"preview": "contact_sheet.jpg"}),
    *({"content": "/etc/hostname"}, {"content": "/dev/zero"}, {"content": "/"}),
    *({"content": "none.png"}, {"style": []}, {"style": ["a.png", ""]}),
    *({"style": [["a"]]}, {"style": {"a": 1}}, {"content": ["a", "b"]}),
    *(
        {"flagfile": "/etc/hostname"},
        {"flagfile": "file.jsonl"},
        {"flagfile": "/dev/zero"},
    ),
    *({"from": "/etc/hostname"}, {"from": "../photo.png"}, {"preset": "../../etc"}),
    *({"preset": "help"}, {"help": True}, {"version": True}, {"manifest": "x.csv"}),
    *({"quiet": True}, {"device": "tpu:99"}, {"dry_run": True}, {"undefok": "x"}),
    *({"weights": "none.h5"}, {"weights": "/dev/zero"}, {"weights": "vgg99"}),
    *(
        {"size": "9" * 5000},
        {"size": 1e3},
        {"size": -1},
        {"size": True},
        {"steps": 1e999},
    ),
    *({"seed": 10**400}, {"tv_weight": "nan"}, {"style_weight": float("nan")}),
    *(
        {"optimizer": "adam\u001b[2J"},
        {"style_layers": "relu9_9"},
        {"init": "none.png"},
    ),
    *({"content_mask": "none.png"}, {"\ud800": 1}, {"content": "\ud800.png"}, {"": 1}),
    *({"x" * 5000: 1}, {"Content": "a"}, {"__class__": "x"}, {"coordinator": "h:1"}),
)
_LINES = (
    *("{", "[]", "3", "null", "[" * 200_000, '{"a": ' * 100_000, "{}", "NaN", "\x00"),
    *('{"size": 1, "size": 2}', "9" * 5000, '{"size": ' + "9" * 5000 + "}", "\udcff"),
)
_TABLES = (
    *("", "\n" * 999, "content", "content,style\n", "a,b,c\n1,2,3\n", ",,\n,,\n"),
    *("content,content\na,b\n", '"content\na', f"content,style\n{_PAIR},more\n"),
    *(f"content;style\n{_PAIR}\n", f"content\tstyle\n{_PAIR}\n", "\x00content\n"),
    *(f"content,style,\n{_PAIR},x\n", "=cmd|'/c calc'!A0,style\na,b\n"),
    *(f"content,style,output\n{_PAIR},out.png\n{_PAIR},out.png\n", "\udcff\n\udcfe"),
    f"content,style,output\n{_PAIR},out.png\n{_PAIR},out.jpg\n",
)
_READ = (
    _CSV,
    f"\ufeff{_CSV}",
    _CSV.replace("\n", "\r\n"),
    _CSV.replace("3\n", "3\n\n,,,,\n"),
    f" content , style \n{_PAIR}\n",
    f"content,style,,\n{_PAIR},,\n",
    f"content,style,save_every\n{_PAIR},\n",
)


def cases() -> Iterator[Case]:
    """All of them."""
    for number, more in enumerate(_WRONG):
        line = json.dumps(_ROW | more)
        yield _case(f"row {number} {line[-60:]}", line, "jsonl")
        # One row that is right does not make it better.
        both = f"{json.dumps(_ROW | {'output': 'out.0.png'})}\n{line}"
        yield _case(f"row {number} after a right one", both, "jsonl")
    for line in _LINES:
        yield _case(f"line {line[:30]!r}", line, "jsonl")
    for text in _TABLES:
        yield _case(f"table {text[:40]!r}", text)
    for text in _READ:
        yield _case(f"table to be read {text[:40]!r}", text, "csv", "read")
    yield _case("lines to be read", f"\n{json.dumps(_ROW)}\n\n", "jsonl", "read")
    yield from _large()
    for name, text in {"csv": _CSV, "jsonl": json.dumps(_ROW)}.items():
        for each in broken(f"table as {name}", "manifest", text.encode(), 12, 40):
            yield each._replace(file=f"file.{name}")
    draw = np.random.default_rng(3)
    for size in (1, 100, 10_000):
        data = draw.integers(0, 256, size, np.uint8).tobytes()
        yield Case(f"table of {size} bytes", "manifest", data, "either", "file.csv")
    for file in ("file", "file.txt", "file.csv.png"):
        yield Case(f"table called {file}", "manifest", _CSV.encode(), file=file)


def _case(name: str, text: str, kind: str = "csv", expect: Expect = "refused") -> Case:
    data = text.encode(
        "utf-8", "surrogatepass" if "\ud800" in text else "surrogateescape"
    )
    shown = name.encode("unicode_escape").decode()
    return Case(shown, "manifest", data, expect, f"file.{kind}")


def _large() -> Iterator[Case]:
    """Tables of very much."""
    head = "content,style,output\n"
    for name, text in {
        "200000 rows": head + "a,b,c\n" * 200_000,
        "5000 wrong rows": head + "".join(f"{n},b,{n}.png\n" for n in range(5_000)),
        "200000 columns": ",".join(f"c{n}" for n in range(200_000)) + "\na",
        "a long cell": head + "a" * 10_000_000 + ",b,c",
        "many quotes": head + '"' * 1_000_001,
        "many lines in a cell": head + '"' + "\n" * 1_000_000 + '",b,c',
    }.items():
        yield Case(f"table of {name}", "manifest", text.encode(), file="file.csv")
    yield Case("table of 80 MB", "manifest", _megabytes, file="file.csv")


def _megabytes() -> bytes:
    return b"content,style\n" + b",\n" * (40 << 20)
