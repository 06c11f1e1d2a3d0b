"""The notebook runs from its first cell to its last, and is kept without outputs."""

import ast
import json
import re
from pathlib import Path

import nbclient
import nbformat
import pytest

NOTEBOOK = Path(__file__).parents[1] / "examples" / "nst_jax.ipynb"


@pytest.fixture(scope="module")
def notebook():
    found = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(found)
    return found


def codes(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def said(cell):
    """What a cell printed."""
    return "".join(each.text for each in cell.outputs if each.output_type == "stream")


def test_it_is_kept_clean(notebook):
    for cell in codes(notebook):
        assert not cell.outputs
        assert cell.execution_count is None
    text = json.dumps(json.loads(NOTEBOOK.read_text("utf-8")), indent=1)
    assert NOTEBOOK.read_text("utf-8") == f"{text}\n"


def test_by_hand_means_thirty_lines(notebook):
    (cell,) = (each for each in codes(notebook) if "def objective(" in each.source)
    lines = [line for line in cell.source.splitlines() if line.strip()]
    imports = [line for line in lines if re.match(r"import|from", line)]
    assert len(lines) - len(imports) <= 33


def test_every_cell_runs(notebook, weights, tmp_path, programs):
    """With small pictures and few steps; the pictures that are drawn do change."""
    del weights, programs  # they are there for the kernel too
    (settings,) = (
        cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())
    )
    names = {node.id for node in ast.walk(ast.parse(settings.source)) if _is_set(node)}
    assert names == {"SIZE", "STEPS"}
    settings.source = "SIZE, STEPS = 48, 2"
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=280, resources=resources).execute()
    assert (tmp_path / "result.png").stat().st_size > 1000
    last, previews = codes(notebook)[-1], []
    for cell in codes(notebook):
        previews += [
            each for each in cell.outputs if each.output_type == "display_data"
        ]
    drawn = {each.data["image/png"] for each in previews}
    # The photo, the style, and what each of three runs ends with.
    assert len(drawn) == len(previews) == 5
    assert re.search(r"mine: 0\.\d+ before, 0\.\d+ after", said(last))


def _is_set(node):
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
