"""A run as one page: the pictures first, then what happened, then every setting."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from nst_jax import flagfile
from nst_jax.config import Config
from nst_jax.report import drawing, page, plots
from nst_jax.report.page import Html, Pixels

_SIDE = 640  # longest side of the pictures beside the result
_SMALL = 360  # and of those on the way
_MOST_BETWEEN = 12
_NOT_TERMS = ("step", "seconds", "scale")
_HEADER = ("setting", "value", "default")
_NONE = "none"
_SPACE = "\N{NO-BREAK SPACE}"


class Run(NamedTuple):
    """All facts of one run."""

    title: str
    content: Pixels
    styles: Sequence[Pixels]
    result: Pixels
    settings: str  # as `flagfile.dump` writes them
    rows: Sequence[Mapping[str, str | float]]  # of the metrics, in their order
    between: Sequence[tuple[int, Pixels]] = ()  # steps with their pictures
    # The step after which each scale starts, and its name; none for a single one.
    scales: Sequence[tuple[int, str]] = ()
    phases: Mapping[str, float] = {}  # seconds
    peak_memory: Mapping[str, int] = {}  # bytes: "host", "device"
    facts: Mapping[str, str] = {}  # device, versions, weights ...
    warnings: Sequence[str] = ()


def check() -> None:
    """Raises RequestError where no report can be made, and no figure."""
    drawing.check()


def html(run: Run) -> str:
    """The page of a run, in one file that opens from disk."""
    sections = (_between(run), _loss(run), _cost(run), _settings(run), _facts(run))
    return page.document(
        run.title,
        page.text(_sentence(run), "lead"),
        *(page.text(words, "warning") for words in run.warnings),
        _pictures(run),
        *(section for section in sections if section),
    )


def _sentence(run: Run) -> str:
    """What was done, in one line."""
    height, width = run.result.shape[:2]
    picture = f"{width}{_SPACE}{page.TIMES}{_SPACE}{height} pixels"
    rows = _comparable(run)
    if not rows:
        return f"{picture}."
    first, last = float(rows[0]["total"]), float(rows[-1]["total"])
    steps = int(float(rows[-1]["step"]))
    if steps == 0:
        return f"{picture}, no step taken. Loss {page.number(last)}."
    chosen = _chosen(run.settings).get("optimizer", "")
    how = f" of {chosen}" if chosen else ""
    # Of all phases, the one that a person waits for.
    seconds = run.phases.get("optimise", float(rows[-1]["seconds"]))
    ratio = last / first if first > 0 else math.nan
    share = f", {_percent(ratio)} of that" if math.isfinite(ratio) else ""
    where = " at this size" if len(rows) < len(run.rows) else ""
    return (
        f"{picture}, {steps} step{'s' * (steps != 1)}{how} in {duration(seconds)}. "
        f"Loss{where} from {page.number(first)} to {page.number(last)}{share}."
    )


def _comparable(run: Run) -> Sequence[Mapping[str, str | float]]:
    """The rows of the last scale: those of another size are other losses."""
    steps = _column(run, "step")
    begun = [start for start, _ in run.scales if 0 < start < max(steps, default=0)]
    start = max(begun, default=-1)
    return [row for row, step in zip(run.rows, steps, strict=True) if step > start]


def _pictures(run: Run) -> Html:
    several = len(run.styles) > 1
    sources = [page.picture(run.content, "Content", longest=_SIDE)]
    for place, style in enumerate(run.styles, 1):
        name = f"Style {place}" if several else "Style"
        sources.append(page.picture(style, name, longest=_SIDE))
    return page.beside(page.picture(run.result, "Result"), *sources)


def _between(run: Run) -> Html | None:
    """The pictures on the way, if there are any: a dozen at most."""
    if not run.between:
        return None
    last, most = len(run.between) - 1, _MOST_BETWEEN
    chosen = sorted({round(last * part / (most - 1)) for part in range(most)})
    sheet = [
        page.picture(picture, f"Step {step}", longest=_SMALL)
        for step, picture in (run.between[place] for place in chosen)
    ]
    return page.section("On the way", page.gallery(*sheet))


def _loss(run: Run) -> Html | None:
    if not run.rows:
        return None
    blocks = [_terms(run)]
    if len(run.rows) > 1:
        blocks.insert(0, page.gallery(*_plots(run), width=420))
    note = "Every term with its weight, as it enters the total that is minimised."
    return page.section("Loss", *blocks, page.text(note, "note"))


def _plots(run: Run) -> Iterator[Html]:
    """The terms, then the layers of each term that has several."""
    steps, names = _column(run, "step"), _names(run)

    def drawn(title: str, columns: Mapping[str, str]) -> Html:
        found = {label: _column(run, name) for label, name in columns.items()}
        series = {
            label: plots.Curve(steps, values, is_main=label == "total")
            for label, values in found.items()
            if any(values)  # what has no weight is 0 and no line
        }
        across, up = plots.Axis("step", is_whole=True), plots.Axis("loss", log=True)
        return plots.curves(title, series, across, up, run.scales)

    yield drawn("Total and terms", {name: name for name in names if "/" not in name})
    for term in ("content", "style"):
        parts = [name for name in names if name.startswith(f"{term}/")]
        if len(parts) > 1:
            labels = {name.partition("/")[2]: name for name in parts}
            yield drawn(f"{term.capitalize()} by layer", labels)


def _terms(run: Run) -> Html:
    """Each term at the first and the last row, of the last scale if there are many."""
    first, last = _comparable(run)[0], run.rows[-1]
    whole = float(last["total"])
    rows: list[list[page.Cell]] = []
    for name in _names(run):
        start, end = float(first[name]), float(last[name])
        share = _percent(end / whole) if whole > 0 else ""
        heading = f"\N{EM SPACE}{name}" if "/" in name else page.strong(name)
        values = [end] if first is last else [start, end]
        rows.append([heading, *values, share])
    at = [_at(last)] if first is last else [_at(first), _at(last)]
    return page.table(["term", *at, "share"], rows)


def _at(row: Mapping[str, str | float]) -> str:
    return f"step {int(float(row['step']))}"


def _cost(run: Run) -> Html | None:
    """Time and memory."""
    blocks = []
    if run.phases:
        labels = [duration(seconds) for seconds in run.phases.values()]
        whole = duration(sum(run.phases.values()))
        blocks += [page.text(f"{whole} in all"), page.bar(run.phases, labels)]
    if run.peak_memory:
        entries = {
            f"peak memory, {place}": _size(count)
            for place, count in run.peak_memory.items()
        }
        blocks.append(page.facts(entries))
    return page.section("Time and memory", *blocks) if blocks else None


def _settings(run: Run) -> Html:
    """What is not the default, and behind it every setting by group."""
    usual = _chosen(flagfile.dump(Config(), folders=False))
    usual |= _chosen(flagfile.dump(Config(), folders=True))
    own: list[list[page.Cell]] = []
    tables = []
    for heading, entries in _groups(run.settings):
        rows: list[list[page.Cell]] = []
        for name, value in entries.items():
            default = usual.get(name, value)
            if value == default:
                rows.append([name, value or _NONE, ""])
            else:
                rows.append([name, page.strong(value or _NONE), default or _NONE])
                own.append(rows[-1])
        tables.append(page.table(_HEADER, rows, heading))
    chosen = page.table(_HEADER, own) if own else page.text("All are the defaults.")
    return page.section(
        "Settings",
        chosen,
        page.folded("Every setting", *tables),
        page.folded("As a flagfile, to repeat the run", page.code(run.settings)),
    )


def _facts(run: Run) -> Html | None:
    return page.section("Made with", page.facts(run.facts)) if run.facts else None


def _groups(settings: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The settings of a flagfile under the comment that stands above them."""
    for block in re.split(r"\n\s*\n", settings):
        entries = _chosen(block)
        if entries:
            heading = block.strip().partition("\n")[0]
            yield heading.lstrip("# ").rstrip("."), entries


def _chosen(settings: str) -> dict[str, str]:
    """The values in a flagfile's text, by name."""
    pairs = [line.lstrip("-").partition("=") for line in flagfile.lines(settings)]
    return {name: value for name, _, value in pairs}


def _names(run: Run) -> list[str]:
    """The columns that are terms, each followed by its layers."""
    every = [name for name in run.rows[0] if name not in _NOT_TERMS]
    terms = [name for name in every if "/" not in name]
    parts = {term: [n for n in every if n.startswith(f"{term}/")] for term in terms}
    return [name for term in terms for name in (term, *parts[term])]


def _column(run: Run, name: str) -> list[float]:
    return [float(row[name]) for row in run.rows]


def duration(seconds: float) -> str:
    """A span of time for people, its numbers kept beside their units.

    >>> [duration(seconds).replace(_SPACE, " ") for seconds in (0.5, 61.2, 7300)]
    ['0.50 s', '1 min 1 s', '2 h 1 min']
    """
    if seconds < 59.95:
        return f"{seconds:.2f}{_SPACE}s" if seconds < 10 else f"{seconds:.1f}{_SPACE}s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}{_SPACE}min {whole % 60}{_SPACE}s"
    return f"{whole // 3600}{_SPACE}h {whole % 3600 // 60}{_SPACE}min"


def _size(count: int) -> str:
    if count < 2**30:
        return f"{count / 2**20:.0f}{_SPACE}MiB"
    return f"{count / 2**30:.1f}{_SPACE}GiB"


def _percent(share: float) -> str:
    digits = f"{100 * share:.0f}" if share >= 0.095 else f"{100 * share:.2g}"
    return f"{digits}{_SPACE}%"
