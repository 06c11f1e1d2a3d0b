"""Build the documentation as a site of plain files, in build/site.

python -m pip install -e ".[docs]"; python scripts/site.py

The pages in docs/ are written to be read where they lie, so they link to files outside
that folder. Those are brought in: sources as pages, the rest as they are. Formulas
become MathML, which browsers draw themselves, so that no page loads anything.
"""

import json
import posixpath
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from latex2mathml.converter import convert

_ROOT = Path(__file__).parents[1]
_PAGES = _ROOT / "build" / "pages"
_TOP = ("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "SECURITY.md")
# What becomes a page of its own, as the language that it is.
_SHOWN = {".py": "python", ".flags": "text", ".toml": "toml", ".yml": "yaml"}
_LINK = re.compile(r"(?<=\]\()([^)#\s]+)(?=[)#])")
_FENCE = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)
_FORMULA = re.compile(r"(\$\$?)(.+?)\1", re.DOTALL)


def main() -> None:
    """Gather the pages, then build."""
    shutil.rmtree(_PAGES, ignore_errors=True)
    shutil.copytree(_ROOT / "docs", _PAGES)
    waiting = [path.name for path in _ROOT.joinpath("docs").glob("*.md")]
    waiting = [*(f"docs/{name}" for name in waiting), *_TOP]
    done = set(waiting)
    for name in waiting:  # grows while it is gone through
        more = [each for each in gathered(name) if each not in done]
        done.update(more)
        waiting += dict.fromkeys(more)
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    sys.exit(subprocess.run(command, cwd=_ROOT).returncode)


def gathered(name: str) -> list[str]:
    """Puts a file of the checkout among the pages; the files that it links to."""
    source, target = _ROOT / name, _PAGES / place(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    kind = _SHOWN.get(source.suffix)
    if kind:
        text = source.read_text("utf-8")
        target.write_text(f"# {name}\n\n````{kind}\n{text}\n````\n", "utf-8")
        return []
    if source.suffix == ".ipynb":
        target.write_text("\n\n".join(cells(source)) + "\n", "utf-8")
        return []
    if source.suffix != ".md":
        shutil.copyfile(source, target)
        return []
    found: list[str] = []
    text = source.read_text("utf-8")
    pieces = _FENCE.split(text)
    with_formulas = "$$" in text
    for index in range(0, len(pieces), 2):  # between blocks of code
        pieces[index] = _linked(pieces[index], name, found)
        if with_formulas:
            pieces[index] = _FORMULA.sub(_drawn, pieces[index])
    target.write_text("".join(pieces), "utf-8")
    return found


def place(name: str) -> str:
    """Where a file of the checkout stands among the pages."""
    if name.startswith("docs/"):
        return name.removeprefix("docs/")
    if name in _TOP:
        return name.lower()
    name = name.removeprefix(".")  # what begins with a dot is hidden
    shown = Path(name).suffix in (*_SHOWN, ".ipynb", ".md")
    return f"files/{name}.md" if shown else f"files/{name}"


def cells(path: Path) -> Iterator[str]:
    """A notebook's cells as Markdown."""
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        text = "".join(cell["source"])
        yield text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```"


def _linked(text: str, name: str, found: list[str]) -> str:
    """The text of a page with its links as they are on the site."""
    here = posixpath.dirname(place(name))

    def changed(match: re.Match[str]) -> str:
        if ":" in match[1]:
            return match[1]
        whole = posixpath.normpath(posixpath.join(posixpath.dirname(name), match[1]))
        if not (_ROOT / whole).is_file():
            sys.exit(f"{name}: no file {match[1]}")
        found.append(whole)
        return posixpath.relpath(place(whole), here or ".")

    return _LINK.sub(changed, text)


def _drawn(match: re.Match[str]) -> str:
    """A formula as MathML, on a line of its own or within one."""
    is_block = match[1] == "$$"
    drawn = convert(match[2], display="block" if is_block else "inline")
    # Within a span nothing of it is taken for Markdown's blocks.
    return f"<span>{drawn}</span>"


if __name__ == "__main__":
    main()
