"""Many jobs in one go: tables and folders, what is told, what is there already."""

import csv
import json
import os
import shutil
import signal
import threading
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from PIL import Image

from nst_jax import (
    batch,
    course,
    devices,
    flags,
    images,
    locks,
    progress,
    run,
    signals,
    transfer,
)
from nst_jax.errors import RequestError
from nst_jax.many import (
    checks,
    entries,
    folders,
    manifest,
    program,
    sheet,
    summary,
    telling,
    whole,
    work,
    wrong,
)
from nst_jax.pretrained import convert

FAST = (
    *("--weights=random", "--network=vgg16", "--size=24", "--steps=3", "--device=cpu"),
    *("--content_layers=relu1_1", "--style_layers=relu1_1", "--optimizer=adam"),
)


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    """Three photos, one of another shape, and two paintings."""
    path = tmp_path_factory.mktemp("gallery")
    generator = np.random.default_rng(0)
    (path / "photos").mkdir()
    (path / "paintings").mkdir()
    shapes = {"photos/a": (30, 40), "photos/b": (30, 40), "photos/c": (40, 30)}
    for name, shape in {
        **shapes,
        "paintings/m": (25, 30),
        "paintings/n": (30, 25),
    }.items():
        pixels = generator.integers(0, 256, (*shape, 3), np.uint8)
        Image.fromarray(pixels).save(path / f"{name}.png")
    (path / "photos" / "notes.txt").write_text("no picture")
    return path


@pytest.fixture
def here(gallery, tmp_path, monkeypatch):
    """An empty folder to work in; `jobs.csv` beside the pictures is written anew."""
    monkeypatch.chdir(tmp_path)
    return gallery


def table(folder, *rows, name="jobs.csv"):
    """The flag for a table with these rows."""
    path = folder / name
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return f"--manifest={path}"


def summed(path="out/summary.csv"):
    """The summary, row by row."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def recorded(path):
    """The record of a job."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def refused(capsys, *arguments):
    """The one line that a refused request is answered with."""
    there = sorted(os.listdir())
    assert run.main([*arguments, *FAST]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert sorted(os.listdir()) == there
    return said.err


PAIR = "content,style,output"
ONE = "photos/a.png,paintings/m.png,one.png"


def test_each_content_in_each_style(here, capsys):
    words = (f"--content={here / 'photos'}", f"--style={here / 'paintings'}")
    assert run.main([*words, "--output=out", *FAST]) == 0
    said = capsys.readouterr().out
    assert "3 contents of" in said
    assert "without 'notes.txt'" in said
    assert "6 jobs in 2 shapes" in said
    assert said.count(" of 6: ") == 6
    names = [f"{a}_{b}" for a in "abc" for b in "mn"]
    assert [row["output"] for row in summed()] == [f"{name}.png" for name in names]
    assert {row["status"] for row in summed()} == {"done"}
    made = {f"{name}.{kind}" for name in names for kind in ("png", "flags", "json")}
    assert {*os.listdir("out")} == made | {"summary.csv", "contact_sheet.jpg"}
    # Each as it would be alone.
    pair = (f"--content={here / 'photos/c.png'}", f"--style={here / 'paintings/n.png'}")
    assert run.main([*pair, "--output=alone.png", "--quiet", *FAST]) == 0
    for one, other in (("c_n", "alone"),):
        many, alone = (
            images.read(f"{p}.png", max_pixels=10**6).pixels
            for p in (f"out/{one}", other)
        )
        np.testing.assert_array_equal(many, alone)


def test_a_row_overrides_and_an_empty_cell_does_not(here, capsys):
    rows = (
        f"{PAIR},steps,tv_weight,no_metadata",
        "photos/a.png,paintings/m.png,deep/one.png,1,,TRUE",
        'photos/a.png,"paintings/m.png,paintings/n.png",,,0.5,',
    )
    assert run.main([table(here, *rows), "--output=out", *FAST, "--quiet"]) == 0
    assert "random weights" in capsys.readouterr().err
    first = recorded("out/deep/one.json")["settings"]
    assert first["steps"] == 1
    assert first["no_metadata"] is True
    second = recorded("out/a_m+n.json")["settings"]
    assert (second["steps"], second["tv_weight"]) == (3, 0.5)
    assert second["no_metadata"] is False


def test_jsonl_is_read_as_csv_is(here):
    rows = [
        {
            "content": "photos/a.png",
            "style": ["paintings/m.png", "paintings/n.png"],
            "style_weights": [3, 1],
            "steps": 1,
            "no_metadata": True,
            "output": "one.png",
            "tv_weight": None,
        },
        {"content": "photos/a.png", "style": "paintings/m.png", "seed": "7"},
    ]
    found = wrong.Wrong({})
    path = here / "jobs.jsonl"
    path.write_text("\n\n".join(map(json.dumps, rows)), encoding="utf-8")
    first, second = manifest.read(path, found)
    assert not found.rows
    assert (first.number, second.number) == (1, 3)
    assert first.values == {
        "content": "photos/a.png",
        "style": ("paintings/m.png", "paintings/n.png"),
        "style_weights": (3.0, 1.0),
        "steps": 1,
        "no_metadata": True,
        "output": "one.png",
    }
    assert second.values["seed"] == 7


def test_all_bad_rows_are_told_at_once(here, capsys):
    rows = (
        f"{PAIR},stlye,steps,device",
        f"{ONE},x,3,",
        "photos/none.png,paintings/m.png,two.png,,,",
        "photos/a.png,paintings/m.png,../three.png,,,",
        "photos/a.png,paintings/m.png,four.png,,many,",
        "photos/b.png,paintings/m.png,./one.png,,,",
        "photos/b.png,jobs.csv,six.png,,,cpu",
        "photos/b.png,,seven.png,,,",
        "photos/none.png,paintings/m.png,eight.png,,,",
    )
    line = refused(capsys, table(here, *rows), "--output=out")
    for words in (
        "7 of 8 jobs cannot be done",
        "unknown column stlye (did you mean style?)",
        "unknown column device (--device is one for all jobs)",
        "rows 3, 9: ",
        "row 4: --output of a row must lie within",
        "row 5: --steps must be a whole number",
        "row 6: 'out/one.png' is a file of row 2 as well",
        "row 7: ",
        "row 8: missing --style",
    ):
        assert words in line, words
    assert not os.path.exists("out")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ((PAIR,), "has no jobs"),
        ((f"{PAIR},content", f"{ONE},x"), "each column once, got content twice"),
        ((PAIR, f"{ONE},more"), "row 2: more has no column"),
        ((PAIR, '"photos/a.png'), "is no CSV"),
        ((PAIR, "photos/a.png,paintings/m.png,/tmp/x.png"), "must lie within"),
        ((PAIR, "photos/a.png,paintings/m.png,one.txt"), "should end in one of"),
        ((f"{PAIR},metrics", f"{ONE},summary.csv"), "is the summary as well"),
        ((f"{PAIR},metrics", f"{ONE},one.json"), "would be written over"),
        ((f"{PAIR},preset", f"{ONE},help"), "may not stand in a row"),
        ((f"{PAIR},flagfile", f"{ONE},none.flags"), "cannot read flagfile"),
        ((f"{PAIR},weights", f"{ONE},./none.h5"), "is not there"),
        ((f"{PAIR},weights", f"{ONE},vgg99"), "vgg99"),
        ((f"{PAIR},quiet", f"{ONE},true"), "--quiet is one for all jobs"),
        ((f"{PAIR},no_metadata", f"{ONE},maybe"), "must be true or false"),
        ((f"{PAIR},size", f"{ONE},1"), "--size"),
    ],
)
def test_a_wrong_table_is_answered_in_one_line(rows, words, here, capsys):
    assert words in refused(capsys, table(here, *rows), "--output=out")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "it is no JSON"),
        ("[" * 100_000, "it is no JSON"),
        ("3", "it must be an object"),
        ('{"size": {"a": 1}}', "size must be a text"),
        ('{"size": 1, "size": 2}', "a name stands there twice"),
        ('{"steps": 1e999}', "--steps must be a whole number"),
        ('{"content": "\\u0000"}', "control characters"),
    ],
)
def test_a_wrong_line_of_json_is_told_with_its_number(line, words, here, capsys):
    said = refused(capsys, table(here, "", line, name="jobs.jsonl"), "--output=out")
    assert f"row 2: {words}" in said or words in said
    assert "row 2" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--output=out", "--metrics=m.csv"), "a column 'metrics'"),
        (("--output=out", "--distributed"), "--shard="),
        (("--output=none/out",), "does not exist"),
        ((), "write --output=FOLDER"),
        (("--output=out", "--shard=4/4"), "--shard must be"),
        (("--output=out", "--batch=0"), "--batch must be"),
        (("--output=out", "--processes=4"), "go with --coordinator"),
        (("--output=out", "--coordinator=h:1"), "from 0 to --processes - 1"),
    ],
)
def test_what_concerns_all_jobs_is_checked_too(arguments, words, here, capsys):
    assert words in refused(capsys, table(here, PAIR, ONE), *arguments)


def test_other_files_are_in_the_way(here, capsys):
    one = table(here, PAIR, ONE)
    os.mkdir("out")
    with open("out/summary.csv", "w", encoding="utf-8") as file:
        file.write("mine\n")
    assert "of no earlier start" in refused(capsys, one, "--output=out")
    assert "a file" in refused(capsys, one, "--output=out/summary.csv")
    os.remove("out/summary.csv")
    with open("out/one.png", "wb") as file:
        file.write(b"mine")
    assert "exists already" in refused(capsys, one, "--output=out")
    with open("out/one.png", "rb") as file:
        assert file.read() == b"mine"


def test_a_folder_without_pictures_is_refused(here, capsys):
    os.mkdir("empty")
    style = f"--style={here / 'paintings'}"
    line = refused(capsys, "--content=empty", style, "--output=out")
    assert "a folder without pictures" in line
    mixed = f"--style={here / 'paintings'},{here / 'paintings/m.png'}"
    content = f"--content={here / 'photos/a.png'}"
    assert "one folder" in refused(capsys, content, mixed, "--output=out")


def test_started_again_it_does_what_is_missing(here, capsys):
    rows = (PAIR, ONE, "photos/b.png,paintings/m.png,two.png")
    words = [table(here, *rows), "--output=out", *FAST]
    assert run.main(words) == 0
    before = os.stat("out/one.png").st_mtime_ns
    os.remove("out/two.png")  # as if somebody had moved it away
    os.remove("out/two.json")
    os.remove("out/two.flags")
    capsys.readouterr()
    assert run.main(words) == 0
    assert "1 of 2 were there" in capsys.readouterr().out
    assert os.stat("out/one.png").st_mtime_ns == before
    assert [row["status"] for row in summed()] == ["there", "done"]
    assert summed()[0]["steps"] == "3"
    # With other settings it is another job, and not replaced unless that is asked for.
    assert run.main([*words, "--steps=2"]) == 2
    assert "steps=3 then, 2 now" in capsys.readouterr().err
    assert run.main([*words, "--steps=2", "--overwrite"]) == 0
    assert {row["steps"] for row in summed()} == {"2"}
    # So it is with another picture of the same name.
    Image.new("RGB", (40, 30)).save(here / "d.png")
    moved = table(here, PAIR, "d.png,paintings/m.png,one.png")
    assert run.main([moved, "--output=out", *FAST, "--steps=2"]) == 2
    assert "other pictures" in capsys.readouterr().err


def redone(capsys, words):
    """What is told where the same files would make another result."""
    assert run.main(words) == 2
    return capsys.readouterr().err


def test_the_same_files_in_other_roles_are_another_job(here, capsys):
    pair = 'photos/a.png,"paintings/m.png,paintings/n.png",one.png'
    assert run.main([table(here, PAIR, pair), "--output=out", *FAST, "--quiet"]) == 0
    for row in (
        'photos/a.png,"paintings/n.png,paintings/m.png",one.png',
        'paintings/m.png,"photos/a.png,paintings/n.png",one.png',
    ):
        words = [table(here, PAIR, row), "--output=out", *FAST, "--quiet"]
        assert "other pictures" in redone(capsys, words)


def test_other_weights_of_the_same_name_are_another_job(here, capsys, monkeypatch):
    words = [table(here, PAIR, ONE), "--output=out", *FAST]
    assert run.main([*words, "--quiet"]) == 0
    about = recorded("out/one.json")
    about["settings"]["weights"] = "/a/mine.safetensors"
    Path("out/one.json").write_text(json.dumps(about), encoding="utf-8")
    own = here / "own.safetensors"
    own.write_bytes(b"numbers")
    digests = [about["network"]["sha256"], "0" * 64]

    def read(path):
        assert path == own
        return SimpleNamespace(digest=digests.pop(0))

    monkeypatch.setattr(convert, "read", read)
    words = [*words, f"--weights={own}", "--dry_run"]
    assert run.main(words) == 0
    assert "1 of 1 were there" in capsys.readouterr().out
    own.write_bytes(b"other numbers")
    assert "other weights" in redone(capsys, words)


def test_a_picture_that_is_not_the_recorded_one_is_nobodys(here, capsys):
    words = [table(here, PAIR, ONE), "--output=out", *FAST, "--quiet"]
    assert run.main(words) == 0
    Image.new("RGB", (24, 18)).save("out/one.png")  # somebody has painted on it
    assert "not the one that was recorded" in redone(capsys, words)
    _journal("done", "running")  # or a kill came between the two
    assert run.main(words) == 0
    assert summed()[0]["status"] == "done"


def _journal(then, now, path="out/summary.csv"):
    """Makes a summary say something else of its jobs."""
    text = Path(path).read_text(encoding="utf-8")
    Path(path).write_text(text.replace(f",{then},", f",{now},"), encoding="utf-8")


def test_the_last_row_of_a_job_counts_while_it_is_at_work(here):
    words = (
        f"--content={here / 'photos/a.png'}",
        f"--style={here / 'paintings/m.png'}",
    )
    request = flags.request(flags.given([*words, "--output=o.png"]), read_settings=str)
    one, two = (entries.Entry(n, f"{n}.png", request, None) for n in (1, 2))
    path = Path("summary.csv")
    with pytest.raises(FileNotFoundError):
        summary.add(path, [one], {})
    summary.write(path, [one, two], {2: summary.Came("interrupted", 3)})
    summary.add(path, [one, two], {1: summary.Came("running"), 2: summary.Came("done")})
    found = summary.before(path, Path("sheet.jpg"), overwrite=False)
    assert found.begun == {"1.png"}
    assert [row["output"] for row in found.rows] == ["1.png"]


def test_pictures_that_their_suffixes_tell_apart_have_two_names(here):
    os.mkdir("both")
    for name in ("x.png", "x.jpg", "y.png"):
        Path("both", name).write_bytes(b"")
    style = (str(here / "paintings/m.png"),)
    rows = folders.read({"content": "both", "style": style}).rows
    names = [row.values.get("output") for row in rows]
    assert names == ["x.jpg_m.png", "x.png_m.png", None]


def test_a_row_begins_elsewhere_than_the_command_line(here):
    rows = (f"{PAIR},from", f"{ONE},earlier.png")
    given = flags.given([table(here, *rows), "--output=out", "--preset=gatys2015"])
    row = manifest.Row(2, {"from": "earlier.png", "style": ("m.png",)})
    found = wrong.Wrong({})
    entries.made([row], given, entries.Where(here, Path("out"), ()), found)
    assert "both a start" not in str(found.rows)
    assert "earlier.png" in str(found.rows)  # which is not there


def test_a_file_that_a_failed_job_met_stays(here, capsys):
    words = [table(here, PAIR, ONE), "--output=out", *FAST, "--quiet"]
    os.mkdir("out")
    line = "2,one.png,failed,,0.10,,\"'out/one.png' exists already\",a,m"
    head = "row,output,status,steps,seconds,loss,message,content,style"
    Path("out/summary.csv").write_text(f"{head}\n{line}\n", encoding="utf-8")
    Path("out/one.png").write_bytes(b"mine")
    assert run.main(words) == 2
    assert "exists already" in capsys.readouterr().err
    assert Path("out/one.png").read_bytes() == b"mine"


def test_what_was_begun_is_remembered_over_another_table(here, capsys):
    words = ["--output=out", *FAST, "--quiet"]
    assert run.main([table(here, f"{PAIR},metrics", f"{ONE},one.csv"), *words]) == 0
    for kind in ("png", "json", "flags"):
        os.remove(f"out/one.{kind}")
    _journal("done", "running")
    other = table(here, PAIR, "photos/b.png,paintings/m.png,two.png")
    assert run.main([other, *words]) == 0
    assert [row["status"] for row in summed()] == ["done", "running"]
    both = table(here, f"{PAIR},metrics", f"{ONE},one.csv")
    assert run.main([both, *words, "--shard=0/1"]) == 0
    assert [row["status"] for row in summed()] == ["done"]
    # And over another sharing out.
    for kind in ("png", "json", "flags"):
        os.remove(f"out/one.{kind}")
    _journal("done", "running")
    assert run.main([both, *words, "--shard=0/2"]) == 0
    assert [row["status"] for row in summed("out/summary.0-of-2.csv")] == ["done"]


def test_a_job_that_fails_is_recorded_and_the_others_are_done(here, capsys):
    whole = (here / "photos/a.png").read_bytes()
    (here / "cut.png").write_bytes(whole[: len(whole) // 2])
    rows = (PAIR, "cut.png,paintings/m.png,cut.png", ONE)
    words = [table(here, *rows), "--output=out", *FAST]
    assert run.main(words) == 1
    said = capsys.readouterr()
    assert "nst-jax: cut.png: " in said.err
    assert "1 of 2 jobs failed, 'cut.png'" in said.err
    cut, one = summed()
    assert (cut["status"], one["status"]) == ("failed", "done")
    assert "damaged" in cut["message"]
    (here / "cut.png").write_bytes(whole)
    assert run.main(words) == 0
    assert [row["status"] for row in summed()] == ["done", "there"]


@pytest.fixture
def signalled(monkeypatch):
    """Lets a signal come at some pause of the steps."""

    def arrange(pauses):
        left = [pauses]

        @contextmanager
        def interruptible():
            yield lambda: signal.SIGINT if left[0] <= 0 else 0

        whole = transfer.steps

        def steps(*given, **options):
            for now in whole(*given, **options):
                left[0] -= 1
                yield now

        monkeypatch.setattr(signals, "interruptible", interruptible)
        monkeypatch.setattr(transfer, "steps", steps)
        return left

    return arrange


def test_an_interrupted_job_keeps_its_picture_and_is_done_again(
    here, capsys, signalled
):
    rows = (PAIR, ONE, "photos/b.png,paintings/m.png,two.png")
    words = [table(here, *rows), "--output=out", *FAST, "--quiet"]
    left = signalled(2)
    assert run.main(words) == 130
    assert [row["status"] for row in summed()] == ["interrupted", "waiting"]
    assert os.path.exists("out/one.png")
    assert not os.path.exists("out/contact_sheet.jpg")
    left[0] = 1000
    assert run.main(words) == 0
    assert [row["status"] for row in summed()] == ["done", "done"]
    assert {row["steps"] for row in summed()} == {"3"}


def test_a_job_with_a_checkpoint_goes_on(here, capsys, signalled):
    words = [table(here, PAIR, ONE), "--output=out", *FAST, "--checkpoint=kept"]
    os.mkdir("kept")
    left = signalled(2)
    assert run.main([*words, "--checkpoint_every=1", "--quiet"]) == 130
    assert "starts anew" not in capsys.readouterr().err
    assert os.listdir("kept") == ["one"]
    left[0] = 1000
    assert run.main([*words, "--checkpoint_every=1", "--quiet"]) == 0
    assert recorded("out/one.json")["resumed_after"] == [1]


def test_a_checkpoint_of_other_settings_is_left_where_all_is_replaced(here, signalled):
    words = ["--output=out", *FAST, "--checkpoint_every=1", "--quiet"]
    rows = (f"{PAIR},checkpoint", f"{ONE},kept")  # as a column it goes on as well
    left = signalled(2)
    assert run.main([table(here, *rows), *words]) == 130
    left[0] = 1000
    again = [table(here, *rows), *words, "--tv_weight=0.5"]
    assert run.main([*again, "--overwrite"]) == 0
    assert recorded("out/one.json")["resumed_after"] == []
    left[0] = 2
    assert run.main([*again, "--overwrite", "--tv_weight=0.25"]) == 130
    left[0] = 1000
    assert run.main([*again, "--tv_weight=0.25"]) == 0
    assert recorded("out/one.json")["resumed_after"] == [1]


def test_jobs_with_several_scales_are_not_begun_together(here):
    words = (f"--content={here / 'photos/a.png'}", "--output=out", "--batch=4")
    style, found = f"--style={here / 'paintings/m.png'}", []
    for text in ("none", "12,24"):
        given = flags.given([*words, style, *FAST, f"--scales={text}"])
        request = flags.request(given, read_settings=str)
        entry = entries.Entry(1, "one.png", request, None)
        plan = whole.Plan([entry], [entry], {}, {1: ((24, 18),)}, {}, "4", Path("s"))
        found.append(work._can_join(plan, entry))
    assert found == [True, False]


def test_what_a_killed_start_has_left_is_done_again(here):
    words = [table(here, f"{PAIR},metrics", f"{ONE},one.csv"), "--output=out", *FAST]
    assert run.main([*words, "--quiet"]) == 0
    os.remove("out/one.png")  # only its metrics were there when it was killed
    os.remove("out/one.json")
    os.remove("out/one.flags")
    text = Path("out/summary.csv").read_text(encoding="utf-8")
    with open("out/summary.csv", "w", encoding="utf-8") as file:
        file.write(text.replace(",done,", ",running,"))
    assert run.main([*words, "--quiet"]) == 0
    assert summed()[0]["status"] == "done"


def test_parts_share_the_jobs_and_a_folder(here, capsys):
    words = (f"--content={here / 'photos'}", f"--style={here / 'paintings'}")
    for number in (0, 1):
        part = f"--shard={number}/2"
        assert run.main([*words, "--output=out", part, *FAST, "--quiet"]) == 0
    first, second = (summed(f"out/summary.{n}-of-2.csv") for n in (0, 1))
    assert [row["output"] for row in first] == ["a_m.png", "b_m.png", "c_m.png"]
    assert [row["output"] for row in second] == ["a_n.png", "b_n.png", "c_n.png"]
    assert os.path.exists("out/contact_sheet.1-of-2.jpg")
    assert run.main([*words, "--output=out", "--shard=7/8", *FAST, "--quiet"]) == 0
    assert summed("out/summary.7-of-8.csv") == []  # there are not so many
    # The processes of one run, as --coordinator counts them, are such parts.
    given = flags.given(
        [*words, "--output=o", "--coordinator=h:1", "--processes=4", "--process=3"]
    )
    _, asked = program.asking.asked(given)
    assert asked.jobs.part() == (3, 4)


def test_nothing_is_written_by_a_dry_run(here, capsys):
    words = [table(here, PAIR, ONE), "--output=out", *FAST, "--dry_run"]
    assert run.main(words) == 0
    said = capsys.readouterr().out
    assert "1 job in 1 shape" in said
    assert "wrote nothing" in said
    assert not os.path.exists("out")


def test_a_shape_compiles_once_and_the_network_is_loaded_once(
    here, capsys, monkeypatch
):
    loads = []
    whole = checks.loader

    def loader(device, *, quiet):
        load = whole(device, quiet=quiet)
        return lambda config: loads.append(id(load(config))) or load(config)

    monkeypatch.setattr(checks, "loader", loader)
    words = [f"--content={here / 'photos'}", f"--style={here / 'paintings/m.png'}"]
    words = [*words, *FAST, "--quiet"]
    assert run.main([*words, "--output=out"]) == 0
    capsys.readouterr()
    devices.compile_seconds()
    before = len(devices.compilations())
    assert run.main([*words, "--output=again"]) == 0
    assert len(devices.compilations()) == before
    assert len({*loads[:4]}) == 1
    assert capsys.readouterr().err.count("random weights") == 1


def test_jobs_of_two_shapes_are_done_one_shape_after_the_other(here, monkeypatch):
    shapes = []
    whole = course.run

    def noted(job, *given):
        shapes.append(job.shapes[-1])
        return whole(job, *given)

    monkeypatch.setattr(course, "run", noted)
    rows = (PAIR, ONE, "photos/c.png,paintings/m.png,", "photos/b.png,paintings/m.png,")
    words = [table(here, *rows), "--output=out", *FAST, "--quiet"]
    assert run.main(words) == 0
    assert len(shapes) == 3
    assert shapes[1] in (shapes[0], shapes[2])


def test_jobs_done_together_are_as_alone(here):
    words = (f"--content={here / 'photos'}", f"--style={here / 'paintings'}")
    words = (*words, *FAST, "--quiet", "--bit_depth=16")
    assert run.main([*words, "--output=alone"]) == 0
    assert run.main([*words, "--output=out", "--batch=3"]) == 0
    for name in ("a_m", "b_n", "c_m"):
        one, other = (
            images.read(f"{folder}/{name}.png", max_pixels=10**6).pixels
            for folder in ("alone", "out")
        )
        np.testing.assert_allclose(one, other, atol=2e-5, rtol=0)
        terms = [
            recorded(f"{folder}/{name}.json")["terms"] for folder in ("alone", "out")
        ]
        assert terms[0] == pytest.approx(terms[1], rel=1e-5)


def test_one_with_a_fault_does_not_end_the_others(here, monkeypatch):
    sizes = []
    whole = batch.run

    def run_together(members, *given, **options):
        sizes.append(len(members))
        found = whole(members, *given, **options)
        return [None, *found[1:]]  # as after a fault in the first

    monkeypatch.setattr(batch, "run", run_together)
    words = (f"--content={here / 'photos'}", f"--style={here / 'paintings/m.png'}")
    words = (*words, *FAST, "--quiet", "--batch=2", "--output=out")
    assert run.main([*words]) == 0
    assert sizes == [2]  # a and b; c has another shape
    assert {row["status"] for row in summed()} == {"done"}
    assert {row["steps"] for row in summed()} == {"3"}


def test_jobs_that_need_pauses_are_done_alone(here, monkeypatch):
    monkeypatch.setattr(batch, "run", lambda *given, **options: pytest.fail("together"))
    words = [f"--content={here / 'photos'}", f"--style={here / 'paintings/m.png'}"]
    words += [*FAST, "--quiet", "--batch=2", "--output=out", "--save_every=1"]
    assert run.main(words) == 0
    assert os.path.exists("out/a_m_000001.png")


def test_several_devices_take_jobs_in_turn(here, monkeypatch):
    seen = []
    whole = work.job.prepared

    def prepared(*given):
        seen.append(given[-1].device)
        return whole(*given)

    monkeypatch.setattr(work.job, "prepared", prepared)
    # One device twice stands for two.
    monkeypatch.setattr(devices, "at_hand", lambda name: [jax.devices("cpu")[0]] * 2)
    words = (f"--content={here / 'photos'}", f"--style={here / 'paintings'}")
    assert run.main([*words, *FAST, "--output=out", "--quiet"]) == 0
    assert {row["status"] for row in summed()} == {"done"}
    assert len(seen) == 6


def test_an_unwritable_summary_is_told_and_the_jobs_are_done(here, capsys, monkeypatch):
    def full(*given):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(summary, "write", full)
    words = [table(here, PAIR, ONE), "--output=out", *FAST, "--quiet"]
    assert run.main(words) == 1
    assert "No space left" in capsys.readouterr().err
    assert os.path.exists("out/one.png")


def test_the_rows_of_a_sheet_are_contents(here):
    pixels = np.zeros((20, 30, 3), np.float32)
    panels = [sheet.Panel(sheet.small(pixels), f"p{n}") for n in range(5)]
    wide = sheet.drawn([*panels, sheet.Panel(None, "ü" * 80)], columns=3)
    assert wide.shape[1] == 3 * (sheet.SIDE + 8) + 8
    one = sheet.drawn(panels, columns=1)  # one style: there is nothing to compare
    assert one.shape[1] == 3 * (sheet.SIDE + 8) + 8
    many = sheet.drawn(panels[:1] * sheet.MOST, columns=2)
    assert max(many.shape) < 65_500
    assert 0 <= wide.min() < wide.max() <= 1


def test_rows_with_one_reason_are_told_together():
    found = wrong.Wrong({})
    for row in (9, 3, 4, 5):
        with found.row(row):
            raise RequestError("it is odd")
    for row in range(100, 1100):
        found.add(row, f"reason {row} {'x' * 400}")
    with pytest.raises(RequestError) as caught:
        found.check("'jobs.csv'", 2000)
    line = str(caught.value)
    assert "1004 of 2000 jobs cannot be done: rows 3-5, 9: it is odd" in line
    assert len(line) < 2000
    assert "more reasons" in line


def test_paths_in_a_table_begin_where_it_is(gallery, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    where = entries.Where(gallery, tmp_path / "out", ())
    values = {"content": "photos/a.png", "style": ("paintings/m.png",), "init": "noise"}
    base = flags.given([*FAST])
    found = wrong.Wrong({})
    (entry,) = entries.made([manifest.Row(2, values)], base, where, found)
    assert entry.config.inputs.content == str(gallery / "photos/a.png")
    assert entry.config.inputs.init == "noise"
    assert entry.name == "a_m.png"


def test_a_bar_goes_over_all_jobs(capsys, monkeypatch):
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True)
    watch = progress.jobs(2, quiet=False)
    watch.step("a.png", 3, 7)
    watch.done("a.png", "done: 7 steps")
    watch.step("b.png", 1, 7)
    watch.done("b.png", "done: 7 steps")
    watch.close()
    said = capsys.readouterr()
    assert "0/2" in said.err
    assert "a.png: step 3 of 7" in said.err
    assert said.out == ""


def test_warnings_name_their_job(capsys):
    with progress.about("a.png"):
        progress.warn("it is odd")
    progress.warn("so is this")
    assert capsys.readouterr().err == "nst-jax: a.png: it is odd\nnst-jax: so is this\n"


def test_a_flagfile_of_a_row_writes_within_the_folder_too(here, capsys):
    flags_of_row = here / "row.flags"
    rows = (f"{PAIR},flagfile", f"{ONE},row.flags")
    flags_of_row.write_text(f"--metrics={here / 'ran.csv'}\n", encoding="utf-8")
    assert "must lie within" in refused(capsys, table(here, *rows), "--output=out")
    assert not (here / "ran.csv").exists()
    flags_of_row.write_text("--metrics=one.csv\n--steps=1\n", encoding="utf-8")
    assert run.main([table(here, *rows), "--output=out", *FAST, "--quiet"]) == 0
    assert os.path.exists("out/one.csv")
    assert recorded("out/one.json")["steps"] == 1  # over the command line's


def test_a_row_starts_from_an_earlier_result(here):
    words = [table(here, PAIR, ONE), "--output=out", *FAST, "--quiet"]
    assert run.main([*words, "--tv_weight=0.25"]) == 0
    shutil.copy("out/one.png", here / "earlier.png")
    rows = (f"{PAIR},from", "photos/a.png,paintings/m.png,two.png,earlier.png")
    assert run.main([table(here, *rows), "--output=out", *FAST, "--quiet"]) == 0
    assert recorded("out/two.json")["settings"]["tv_weight"] == 0.25
    os.remove(here / "earlier.png")


def test_two_runs_do_not_do_the_same_jobs(here, capsys):
    os.mkdir("out")
    name = ".nst_jax-jobs-0-of-1.lock"
    with locks.held(Path("out"), name=name) as is_ours:
        assert is_ours
        line = refused(capsys, table(here, PAIR, ONE), "--output=out")
    assert "another run is at work" in line
    # Nor do parts beside all of them, or beside other parts.
    with locks.held(Path("out"), name=".nst_jax-jobs-0-of-2.lock"):
        line = refused(capsys, table(here, PAIR, ONE), "--output=out")
        assert "another run is at work" in line
        words = (table(here, PAIR, ONE), "--output=out", "--shard=1/2", *FAST)
        assert run.main([*words, "--quiet"]) == 0


def test_a_job_that_has_no_end_is_not_called_done(here, capsys):
    given = flags.given([table(here, PAIR, ONE), "--output=out"])
    _, asked = program.asking.asked(given)
    one = entries.Entry(2, "one.png", None, None)
    lock = threading.Lock()
    shared = whole.Shared({2: summary.Came("running")}, {}, set(), [], lock, None, [])
    plan = whole.Plan([one], [one], {}, {}, {}, "auto", asked.table)
    assert telling.ended(asked, plan, shared, 0, 1.0) == 1
    assert "1 broken off" in capsys.readouterr().out
    shared.came[2] = summary.Came("done")
    assert telling.ended(asked, plan, shared, 0, 1.0) == 0


def test_what_many_jobs_have_does_nothing_for_one(here, capsys):
    pair = (f"--content={here / 'photos/a.png'}", f"--style={here / 'paintings/m.png'}")
    words = (*pair, "--output=one.png", "--shard=0/4", *FAST, "--dry_run")
    assert run.main(words) == 0
    assert "--shard has no effect here" in capsys.readouterr().err
    many = [table(here, PAIR, ONE), "--output=out", "--shard=0/4", "--momentum=0.5"]
    assert run.main([*many, *FAST, "--quiet"]) == 0
    said = capsys.readouterr().err
    assert said.count("--momentum has no effect here") == 1
    assert "--shard" not in said
