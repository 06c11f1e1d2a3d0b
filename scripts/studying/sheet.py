"""What a study leaves: a page, a table for spreadsheets, a picture for each cell."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from nst_jax import disk, flagfile, images, report
from nst_jax.config import Config
from nst_jax.report import page, plots
from nst_jax.report.page import Html
from nst_jax.show import tables
from studying.cells import OWN, Cell, Part
from studying.judge import Measured, Picture

_WORK = (
    *("trial", "steps", "result", "seconds", "core seconds"),
    *("total", "content", "style"),
)
_NEARNESS = (
    *("trial", "steps", "SSIM", "PSNR"),
    *("content distance", "Gram distance", "Wasserstein share"),
)
_EXPLAINED = (
    "Seconds are those of the steps, without compiling and measuring; core seconds add "
    "up all cores. Total, content and style are weighted terms of the loss."
)
_MEASURED = (
    "SSIM and PSNR compare with the photo. The content distance is the squared "
    "difference of features over their square, the Gram distance the same of Gram "
    "matrices, the Wasserstein share that loss over what it is at the photo: 0 is "
    "nearest."
)


def write(
    folder: Path,
    parts: Sequence[Part],
    config: Config,
    content: Picture,
    style: Picture,
) -> list[Path]:
    """Writes everything; the paths of the page and the table."""
    pictures = folder / "pictures"
    pictures.mkdir(exist_ok=True)
    for cell in {cell.file: cell for part in parts for cell in part.cells}.values():
        if cell.image is not None:
            path = pictures / cell.file
            disk.write(path, images.encoded(path, cell.image))
    spreadsheet, whole = folder / "study.csv", folder / "index.html"
    rows = [_numbers(part.grid.name, cell) for part in parts for cell in part.cells]
    disk.write(spreadsheet, tables.in_csv(rows))
    disk.write(whole, html(parts, config, content, style).encode())
    return [whole, spreadsheet]


def _numbers(grid: str, cell: Cell) -> dict[str, object]:
    """One row of the spreadsheet; empty where nothing is known."""
    row, seen = cell.row or {}, cell.measured.get(OWN)
    names = ("seconds", "cpu_seconds", "total", "content", "style", "tv")
    return {
        "grid": grid,
        "trial": cell.trial.label,
        "steps": cell.mark,
        "steps_done": int(row.get("step", 0)),
        **{name: row.get(name, "") for name in names},
        "compile_seconds": cell.found.compile_seconds,
        **{
            f"measured_{name}": "" if seen is None else getattr(seen, name)
            for name in Measured._fields
        },
        "fault": cell.fault,
        "picture": f"pictures/{cell.file}" if cell.image is not None else "",
    }


def html(
    parts: Sequence[Part], config: Config, content: Picture, style: Picture
) -> str:
    """The whole page."""
    photo, painting = Path(config.inputs.content), Path(config.inputs.style[0])
    settings = flagfile.dump(config, folders=False)
    return page.document(
        f"{photo.stem} in the style of {painting.stem}: a study",
        page.text(_sentence(parts, content), "lead"),
        *(
            page.text(f"{label} failed: {fault}", "warning")
            for label, fault in faults(parts)
        ),
        page.gallery(
            page.picture(content, "Content", longest=480),
            page.picture(style, "Style", longest=480),
            width=300,
        ),
        *(_section(part) for part in parts),
        page.section(
            "Made with",
            page.facts(_made(parts)),
            page.folded("Every setting of the study", page.code(settings)),
        ),
    )


def _sentence(parts: Sequence[Part], content: Picture) -> str:
    cells = [cell for part in parts for cell in part.cells]
    done = sum(cell.image is not None and not cell.fault for cell in cells)
    rows, columns = content.shape[:2]
    return f"{columns} {page.TIMES} {rows} pixels, {done} of {len(cells)} cells done."


def faults(parts: Sequence[Part]) -> list[tuple[str, str]]:
    """The trials that failed, each once, and why."""
    told = [(c.trial.label, c.fault) for part in parts for c in part.cells if c.fault]
    return list(dict.fromkeys(told))


def _section(part: Part) -> Html:
    blocks = [
        *(page.text(part.grid.about), _work(part), page.text(_EXPLAINED, "note")),
        page.gallery(*_curves(part), width=420),
        *(_nearness(part), page.text(_MEASURED, "note")),
    ]
    if part.grid.name == "losses":
        blocks.append(page.gallery(*_balance(part), width=420))
    blocks += [*_others(part), _contacts(part)]
    return page.section(part.grid.heading, *blocks)


def _work(part: Part) -> Html:
    return page.table(_WORK, [_row(cell) for cell in part.cells])


def _row(cell: Cell) -> list[page.Cell]:
    row = cell.row
    terms: list[page.Cell] = [""] * 5
    if row:
        names = ("seconds", "cpu_seconds", "total", "content", "style")
        terms = [float(f"{row[name]:.4g}") for name in names]
    return [cell.trial.label, cell.mark, _result(cell), *terms]


def _nearness(part: Part) -> Html:
    rows = [
        [cell.trial.label, cell.mark, *_seen(cell.measured[OWN])]
        for cell in part.cells
        if OWN in cell.measured
    ]
    photo: list[page.Cell] = ["the photo itself", 0, *_seen(part.photo[OWN])]
    return page.table(_NEARNESS, [photo, *rows], "How near to photo and style")


def _result(cell: Cell) -> page.Cell:
    """The picture, or why there is none."""
    if cell.image is None:
        return cell.fault or "not computed yet"
    caption = "failed" if cell.fault else ""
    return page.picture(cell.image, caption, alt=_name(cell), longest=300)


def _seen(seen: Measured) -> list[page.Cell]:
    known = [value is not None and math.isfinite(value) for value in seen]
    pairs = zip(seen, known, strict=True)
    return [float(f"{value:.3g}") if is_known else "" for value, is_known in pairs]


def _curves(part: Part) -> Iterator[Html]:
    """All losses against steps, and against seconds."""
    alike = not any(trial.is_unlike for trial in part.grid.trials)
    found = {
        cell.trial.label: [row for row in cell.found.rows if row[0] <= cell.mark]
        for cell in part.cells
        if cell.found.rows
    }
    up = plots.Axis("total" if alike else "total over the first", log=True)
    for column, name in enumerate(("step", "seconds")):
        series = {}
        for label, rows in found.items():
            whole = 1.0 if alike else rows[0][3]
            points = [(row[column], row[3] / whole) for row in rows[1:]]
            series[label] = plots.Curve([x for x, _ in points], [y for _, y in points])
        across = plots.Axis(name, log=True, is_whole=name == "step")
        yield plots.curves(
            f"Loss against {name.removesuffix('s')}s", series, across, up
        )


def _balance(part: Part) -> Iterator[Html]:
    """How much of the style each loss gives for how much of the content."""
    across = plots.Axis("content distance")
    for field, name in (
        ("gram", "Gram distance"),
        ("wasserstein", "Wasserstein share"),
    ):
        series = {}
        for loss in dict.fromkeys(map(_loss, part.cells)):
            same = [cell for cell in part.cells if _loss(cell) == loss]
            seen = [cell.measured[OWN] for cell in same if OWN in cell.measured]
            points = sorted((one.content, getattr(one, field) or 0.0) for one in seen)
            series[loss] = plots.Curve([x for x, _ in points], [y for _, y in points])
        yield plots.curves(
            f"{name} against content distance",
            series,
            across,
            plots.Axis(name, log=True),
        )


def _loss(cell: Cell) -> str:
    return cell.trial.label.partition(" ")[0]


def _others(part: Part) -> list[Html]:
    """What the other networks of a comparison say of the same pictures."""
    names = [name for name in part.photo if name != OWN]
    if not names:
        return []
    header = ["made with"]
    for name in names:
        header += [
            f"{kind}, seen by {name}" for kind in ("content", "Gram", "Wasserstein")
        ]
    rows: list[list[page.Cell]] = []
    looks: list[tuple[str, Mapping[str, Measured]]] = [("the photo itself", part.photo)]
    looks += [(cell.trial.label, cell.measured) for cell in part.cells if cell.measured]
    for label, measured in looks:
        rows.append(
            [label, *(value for name in names for value in _seen(measured[name])[2:])]
        )
    return [page.table(header, rows, "Seen by each network")]


def _contacts(part: Part) -> Html:
    sheet = [
        page.picture(cell.image, _name(cell), longest=480)
        for cell in part.cells
        if cell.image is not None
    ]
    return page.folded("All results, larger", page.gallery(*sheet, width=240))


def _name(cell: Cell) -> str:
    return f"{cell.trial.label}, {cell.mark} steps"


def _made(parts: Sequence[Part]) -> dict[str, str]:
    """Device, versions and compilations; several where the study went on elsewhere."""
    found = {cell.trial.key: cell.found for part in parts for cell in part.cells}
    entries: dict[str, list[str]] = {}
    for one in found.values():
        for name, value in one.made.items():
            entries.setdefault(name, []).append(value)
    facts = {name: ", ".join(dict.fromkeys(values)) for name, values in entries.items()}
    slow = [one.compile_seconds for one in found.values() if one.rows]
    if slow:
        facts["compiling"] = (
            f"{report.duration(sum(slow))} for {len(slow)} trials; one compilation "
            "serves all rates of an optimiser"
        )
    return facts
