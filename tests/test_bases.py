"""scripts/bases.py: what it prints of two runs."""

import runpy
from pathlib import Path

from nst_jax import run

SCRIPT = Path(__file__).parents[1] / "scripts" / "bases.py"
TOTALS = {
    "pixels": {0: 9.0, 30: 5.0, 50: 4.0, 100: 2.0},
    "waves": {0: 9.0, 24: 5.0, 40: 4.5, 50: 3.5, 100: 2.5},
}


def test_it_prints_step_share_and_total(tmp_path, monkeypatch, capsys):
    def fake(argv):
        (basis,) = (each[8:] for each in argv if each.startswith("--basis="))
        (path,) = (each[10:] for each in argv if each.startswith("--metrics="))
        rows = [f"{step},{total}\n" for step, total in TOTALS[basis].items()]
        Path(path).write_text("".join(["step,total\n", *rows]))
        return 0

    monkeypatch.setattr(run, "main", fake)
    main = runpy.run_path(str(SCRIPT))["main"]
    assert main(str(tmp_path / "pair"), "--steps=100") == 0
    assert capsys.readouterr().out == (
        "pair: waves as low as pixels at 30: 24 (80%, 5), 50: 50 (100%, 4), "
        "100: - (-, 2)\n"
    )
