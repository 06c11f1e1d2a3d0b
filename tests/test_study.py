"""scripts/study.py: grids, runs that go on where they stopped, and what it leaves."""

import csv
import importlib
import json
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from nst_jax import solve, transfer
from nst_jax.arrays import LossTerms
from nst_jax.config import Config, InputConfig
from nst_jax.errors import RequestError
from tests import pages

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
study = importlib.import_module("study")
grids, store, work = (
    importlib.import_module(f"studying.{name}") for name in ("grids", "store", "work")
)

TINY = (
    *("--size=24", "--weights=random", "--vgg16_weights=random", "--device=cpu"),
    *("--content_layers=relu2_1", "--style_layers=relu1_1,relu2_1", "--offline"),
)


def pair(folder):
    """Two small pictures of different shapes."""
    generator, paths = np.random.default_rng(3), []
    for name, shape in (("photo", (18, 24, 3)), ("painting", (24, 20, 3))):
        paths.append(folder / f"{name}.png")
        Image.fromarray(generator.integers(0, 255, shape, np.uint8)).save(paths[-1])
    return [f"--content={paths[0]}", f"--style={paths[1]}"]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """The study's settings on tiny pictures, as they are on this device."""
    from nst_jax import flags, job

    arguments = study._with_base([*pair(tmp_path_factory.mktemp("pair")), *TINY])
    program = flags.RUN._replace(own=grids.StudyConfig)
    request = flags.parse(
        [*arguments, "--output=x"], read_settings=str, program=program
    )
    return job.resolve(request.config, jax.devices("cpu")[0])


def trial(config, **changes):
    return grids._trial(config, "it", changes, [2])


def ready(config, **changes):
    device = jax.devices("cpu")[0]
    return work.ready(trial(config, **changes), config, device)


def ended(now, found, marks, stopped=lambda: 0):
    return list(work.run(now, found, marks, stopped))[-1]


# What is tried


def test_the_default_is_table_1_with_shared_runs(config):
    (grid,) = grids.grids(config, grids.StudyConfig())
    assert {each.label: each.marks for each in grid.trials} == {
        "adam 0.02": (250, 500, 2500),
        "adagrad 0.02": (250, 500, 2500),
        "adagrad 0.1": (250,),
        "rmsprop 0.02": (500, 2500),
        "rmsprop 0.001": (2500,),
    }
    settings = {
        each.label: grids.settings(config, each.changes).optimizer
        for each in grid.trials
    }
    # Keras' forms: adam's epsilon is raw, the others' under the root.
    assert settings["adam 0.02"].epsilon_place == "raw"
    assert settings["adagrad 0.1"].epsilon_place == "auto"
    assert settings["rmsprop 0.001"].learning_rate == 0.001
    turns = [(each.label, mark) for each, mark in grids.turns([grid])]
    assert len(turns) == 10
    assert [mark for _, mark in turns] == sorted(mark for _, mark in turns)


def test_a_trial_of_several_grids_is_done_once(config):
    own = grids.StudyConfig(grid=("all",), rows=("adam:0.02:250", "adam:0.02:300"))
    turns = grids.turns(grids.grids(config, own))
    cells = [(each.key, mark) for each, mark in turns]
    assert len(cells) == len(set(cells))
    # The study as it is set is in four grids: once at 250 steps, once at 300.
    assert [mark for key, mark in cells if key == "as_set"] == [250, 300]
    assert all(each.marks[-1] == 300 for each, _ in turns if each.key == "as_set")


def test_keys_of_different_trials_differ_and_name_a_file(config):
    own = grids.StudyConfig(grid=("all",), vgg16_weights="/some/where/w.npz")
    every = [each for grid in grids.grids(config, own) for each in grid.trials]
    changes = {each.key: each.changes for each in every}
    assert len(changes) == len({each.changes for each in every})
    assert not any("/" in key for key in changes)


@pytest.mark.parametrize(
    "text", ["adam:0.02", "adam:x:3", "adam:0:3", "nadam:1:3", "adam:1:0", "adam:nan:3"]
)
def test_rows_that_are_none_are_refused(text):
    with pytest.raises(RequestError, match="OPTIMIZER:RATE:STEPS"):
        grids.StudyConfig(rows=(text,))


# How it is run


@pytest.mark.parametrize("optimizer", ["adam", "adagrad", "rmsprop"])
@pytest.mark.usefixtures("room")
def test_the_rate_is_an_argument_and_the_image_that_of_a_run(config, optimizer):
    solvers = []
    for rate in (0.02, 0.1):
        changes = {"optimizer": optimizer, "learning_rate": rate}
        if optimizer != "adam":
            changes["epsilon_place"] = "square"
        now = ready(config, **changes, steps=4)
        solvers.append(now.solver)
        found = ended(now, store.Found(), (4,))
        weights = work.weights(config.network, 0)
        content, style = now.pictures.content, now.pictures.styles[0]
        expected = transfer.stylize(content, style, weights, now.config)
        np.testing.assert_allclose(found.images[4], expected.image, atol=2e-4)
        assert np.abs(expected.image - content).max() > rate
    assert solvers[0] is solvers[1]
    assert now.solver.chunk._cache_size() == 1


def test_a_run_that_stopped_goes_on_to_the_same_image(config, tmp_path):
    whole = ended(ready(config), store.Found(), (2, 5))
    asked = iter([0, 0, 0, 1, 1, 1, 1, 1])
    part = ended(ready(config), store.Found(), (2, 5), lambda: next(asked))
    assert 0 < part.step < 5
    store.write(tmp_path / "it.npz", part)
    again = ended(ready(config), store.read(tmp_path / "it.npz"), (2, 5))
    np.testing.assert_array_equal(again.images[5], whole.images[5])
    np.testing.assert_array_equal(again.images[2], whole.images[2])
    assert [row[0] for row in again.rows] == sorted({row[0] for row in again.rows})
    seconds = [row[1] for row in again.rows]
    assert seconds == sorted(seconds)
    # What another version left is begun again.
    other = part._replace(leaves=part.leaves[1:])
    np.testing.assert_array_equal(
        ended(ready(config), other, (2, 5)).images[5], whole.images[5]
    )
    # A look at a step that was passed needs the way there once more.
    back = ended(ready(config), again, (3, 5))
    assert set(back.images) == {3, 5}
    np.testing.assert_array_equal(back.images[5], whole.images[5])


class Recorder:
    """A loop that computes nothing, and keeps the problems that it was given."""

    def __init__(self):
        self.stepped, self.measured = [], []

    def chunk(self, problem, state, last):
        self.stepped.append(problem)
        info = solve.Info(jnp.zeros(()), jnp.zeros(()), jnp.bool_(True))
        return state._replace(step=last), info

    def terms(self, problem, image):
        self.measured.append(problem)
        return LossTerms({}, {}, jnp.zeros(()))


def test_what_is_timed_is_what_a_run_computes(config):
    """Where a run spreads its kernels for Winograd's products, so is it here."""
    large = {"size": 128, "size_rule": "short", "convolution": "winograd"}
    shallow = {"content_layers": ("relu1_2",), "style_layers": ("relu1_2",)}
    now = ready(config, **large, **shallow)
    loop = Recorder()
    found = ended(now._replace(solver=loop), store.Found(), (2,))
    assert found.step == 2
    assert len(loop.stepped) == 3
    for problem in loop.stepped:
        assert "spread" in problem.params["conv1_2"]
    for problem in loop.measured:
        assert "kernel" in problem.params["conv1_2"]


def test_a_damaged_file_counts_as_nothing(tmp_path):
    path = tmp_path / "it.npz"
    store.write(path, store.Found(step=3, leaves=(np.ones(3, np.float32),)))
    assert store.read(path).step == 3
    path.write_bytes(path.read_bytes()[:-40])
    assert store.read(path) == store.Found()
    assert store.read(tmp_path / "none.npz") == store.Found()


@pytest.mark.parametrize(
    "changes", [{"style_loss": ("mean_std",)}, {"pooling": "avg"}, {"network": "vgg16"}]
)
def test_terms_of_another_size_are_made_to_weigh_alike(config, changes):
    usual, other = ready(config), ready(config, **changes)
    more = ready(config, **changes, style_weight=4 * config.objective.style_weight)
    first = [
        now.solver.terms(now.problem, now.state.image) for now in (usual, other, more)
    ]
    style = [float(sum(terms.style.values())) for terms in first]
    np.testing.assert_allclose(style[1:], [style[0], 4 * style[0]], rtol=1e-3)
    grey = jnp.full_like(usual.state.image, 0.5)
    at_grey = [now.solver.terms(now.problem, grey) for now in (usual, other)]
    content = [float(sum(terms.content.values())) for terms in at_grey]
    np.testing.assert_allclose(content[1], content[0], rtol=1e-3)


# The command


def run(arguments, folder, capsys):
    status = study.main([*arguments, f"--output={folder}"])
    return status, capsys.readouterr()


def test_a_study_leaves_its_report_and_is_not_done_again(tmp_path, capsys):
    folder, arguments = tmp_path / "out", [*pair(tmp_path), *TINY, "--quiet"]
    rows = "--rows=adam:0.02:1,adam:0.02:3,adam:1e30:3"
    # Without a box the second rate leaves all that is finite.
    arguments += [rows, "--box=none"]
    status, said = run(arguments, folder, capsys)
    assert status == 0, said.err
    assert "adam 1e+30" in said.err
    assert "stopped being finite" in said.err
    with (folder / "study.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [(row["trial"], row["steps"], row["steps_done"]) for row in table][:2] == [
        ("adam 0.02", "1", "1"),
        ("adam 0.02", "3", "3"),
    ]
    good, bad = table[1], table[2]
    assert (good["fault"], bad["trial"]) == ("", "adam 1e+30")
    assert "stopped being finite" in bad["fault"]
    assert float(good["seconds"]) > 0
    assert float(table[0]["total"]) > float(good["total"])
    assert 0 < float(good["measured_ssim"]) < 1
    with Image.open(folder / good["picture"]) as picture:
        assert picture.size == (24, 18)

    page = pages.Page((folder / "index.html").read_text())
    assert len(page.all("img")) == 2 + 2 * 3  # the pair; cells in table and sheet
    assert "adam 1e+30 failed" in page.text
    assert "photo in the style of painting" in page.text

    before = {path: path.stat().st_mtime_ns for path in (folder / "trials").iterdir()}
    assert run(arguments, folder, capsys)[0] == 0
    after = {path: path.stat().st_mtime_ns for path in (folder / "trials").iterdir()}
    assert after == before

    status, said = run([*arguments, "--style_weight=0.5"], folder, capsys)
    assert status == 2
    assert said.err.count("\n") == 1
    assert "--style_weight is '0.01', here '0.5'" in said.err

    # A version that had no such setting moved pixels, and left a few things open.
    identity = folder / "study.json"
    old = json.loads(identity.read_text())
    for name in ("--basis", "--balance", "--convolution", "--epsilon_place"):
        del old[name]
    identity.write_text(json.dumps(old))
    assert run(arguments, folder, capsys)[0] == 0
    status, said = run([*arguments, "--basis=waves"], folder, capsys)
    assert status == 2
    assert "--basis is 'pixels', here 'waves'" in said.err


def test_a_trial_that_breaks_leaves_the_others(tmp_path, capsys):
    arguments = [*pair(tmp_path), *TINY, "--quiet", "--grid=networks", "--steps=1"]
    arguments += [f"--vgg16_weights={tmp_path / 'none.npz'}"]
    status, said = run(arguments, tmp_path / "out", capsys)
    assert status == 1
    # Random weights say what they are, where no test before has asked for them.
    told = [line for line in said.err.splitlines() if "random weights" not in line]
    assert len(told) == 1
    assert "vgg16 failed: " in told[0]
    with (tmp_path / "out" / "study.csv").open() as file:
        table = {row["trial"]: row for row in csv.DictReader(file)}
    assert table["vgg19"]["steps_done"] == "1"
    assert table["vgg16"]["steps_done"] == "0"
    assert "none.npz" in table["vgg16"]["fault"]


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--grid=optimisers", "--grid must name some of optimizers"),
        ("--rows=adam:1", "OPTIMIZER:RATE:STEPS"),
        ("--metrics=a.csv", "--metrics is not for a study"),
        ("--scales=2", "--scales is not for a study"),
        ("--output=/dev/null", "--output must be a folder"),
        ("--style=", "missing --style"),
        ("--weights=none.npz", "none.npz"),
        ("--device=abacus", "--device"),
    ],
)
def test_wrong_requests_are_answered_in_one_line(flag, message, tmp_path, capsys):
    arguments = [*pair(tmp_path), f"--output={tmp_path / 'out'}", *TINY, flag]
    assert study.main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert message in said.err
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_measured_is_not_begun(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    status, said = run([*pair(tmp_path), *TINY], tmp_path / "out", capsys)
    assert status == 2
    assert "scikit-image" in said.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["no/out", "photo.png"])
def test_a_folder_that_cannot_be_is_refused(place, tmp_path, capsys):
    status, said = run([*pair(tmp_path), *TINY], tmp_path / place, capsys)
    assert status == 2
    assert "--output must be a folder that can be written" in said.err
    assert not (tmp_path / "no").exists()


def test_help_names_every_flag_of_its_own(capsys):
    assert study.main(["--help"]) == 0
    said = capsys.readouterr().out
    for name in ("--grid", "--rows", "--vgg16_weights", "--size", "--output"):
        assert name in said
    assert "adam:0.02:250" in said


def test_settings_of_one_trial_change_nothing_else(config):
    changed = grids.settings(config, [("pooling", "avg"), ("size", 7)])
    assert changed.network.pooling == "avg"
    assert changed.inputs.size == 7
    assert changed.objective == config.objective
    assert grids.settings(Config(), []) == Config()
    assert isinstance(changed.inputs, InputConfig)
