"""Published settings by name: flagfiles that say where each constant comes from.

A preset's first comment line says what it is; `# Evidence:` says how far it has been
proven to compute what it is named after, and `# Cite:` names its sources in
`citations`. docs/presets.md explains the evidence.
"""

import difflib
from importlib import resources
from typing import NamedTuple

from nst_jax.errors import RequestError

# What the letters of the evidence stand for.
KEY = (
    "Evidence: A, figures that the original program printed; B, an independent\n"
    "implementation in torch; C, a float64 computation from the formula alone."
)
_EVIDENCE, _CITE = "# Evidence:", "# Cite:"


class Preset(NamedTuple):
    """One flagfile of nst_jax/presets."""

    name: str
    summary: str
    evidence: str
    cites: tuple[str, ...]
    text: str


def every() -> dict[str, Preset]:
    """All presets, by name."""
    files = resources.files("nst_jax").joinpath("presets").iterdir()
    return {
        name: read(name, file.read_text("utf-8"))
        for file in sorted(files, key=lambda file: file.name)
        if (name := file.name.removesuffix(".flags")) != file.name
    }


def read(name: str, text: str) -> Preset:
    r"""A preset from its text.

    >>> read("x", "# What it is.\n# Evidence: B, C.\n# Cite: a b\n").cites
    ('a', 'b')
    """
    rows = text.split("\n")
    first = rows[0].lstrip("#").strip() if rows[0].startswith("#") else ""
    return Preset(
        name,
        first,
        evidence=" ".join(_after(_EVIDENCE, rows)),
        cites=tuple(" ".join(_after(_CITE, rows)).split()),
        text=text,
    )


def look_up(name: str) -> Preset:
    """The preset of that name."""
    found = every()
    if name not in found:
        near = difflib.get_close_matches(name, found, n=1)
        hint = f"did you mean {near[0]}?" if near else "--preset=help lists them"
        raise RequestError(f"unknown preset {name!r}; {hint}")
    return found[name]


def _after(mark: str, rows: list[str]) -> list[str]:
    return [row.removeprefix(mark).strip() for row in rows if row.startswith(mark)]
