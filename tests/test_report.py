"""The page of a run: what a person reads in it is what happened."""

import dataclasses
import re

import numpy as np
import pytest

from nst_jax import flagfile, report
from nst_jax.config import Config, InputConfig, SolveConfig
from tests.pages import Page

LAYERS = ("content/relu4_2", "style/relu1_1", "style/relu2_1")


def picture(seed, height=24, width=32):
    generator = np.random.default_rng(seed)
    return generator.uniform(size=(height, width, 3)).astype(np.float32)


def rows(count):
    """Metrics as their file holds them."""
    table = []
    for step in range(count):
        parts = {name: (place + 1) * 2.0**-step for place, name in enumerate(LAYERS)}
        parts[LAYERS[0]] = 0.25 * step
        content, style = parts[LAYERS[0]], parts[LAYERS[1]] + parts[LAYERS[2]]
        terms = {"total": content + style, "content": content, "style": style, "tv": 0}
        row = {"step": step, "seconds": 0.5 * step, **terms, **parts}
        table.append({name: f"{value:.9g}" for name, value in row.items()})
    return table


def settings(**changes):
    config = dataclasses.replace(Config(), **changes)
    return flagfile.dump(config, folders=True)


RUN = report.Run(
    title="result.png",
    content=picture(0),
    styles=(picture(1),),
    result=picture(2),
    settings=settings(),
    rows=rows(5),
)


def page_of(**changes):
    return Page(report.html(RUN._replace(**changes)))


def words(page):
    return page.text.replace("\N{NO-BREAK SPACE}", " ")


def test_the_sentence_says_what_happened():
    text = words(page_of(phases={"compile": 9.0, "optimise": 65.0}))
    assert (
        "32 \N{MULTIPLICATION SIGN} 24 pixels, 4 steps of lbfgs in 1 min 5 s." in text
    )
    assert "Loss from 5 to 1.312, 26 % of that." in text


def test_without_phases_the_metrics_say_how_long():
    assert "4 steps of lbfgs in 2.00 s." in words(page_of())


def test_one_row_has_terms_and_no_curves():
    page = page_of(rows=rows(1))
    assert page.all("svg") == []
    assert "no step taken. Loss 5." in words(page)
    assert "style/relu2_1" in page.text
    assert page.text.count("step 0") == 1


def test_no_rows_at_all():
    page = page_of(rows=[])
    assert "pixels." in words(page)
    assert len(page.all("img")) == 3


def test_curves_of_terms_and_of_the_layers_that_are_several():
    page = page_of()
    labels = [attributes["aria-label"] for attributes in page.all("svg")]
    assert labels == [
        "Total and terms: total, content, style",
        "Style by layer: relu1_1, relu2_1",
    ]
    assert "content at step 0." in page.text


def test_the_table_follows_each_term_with_its_layers():
    found = re.findall(r'<th scope="row"[^>]*>(.*?)</th>', report.html(RUN))
    names = [re.sub(r"<[^>]*>|\W", "", name) for name in found]
    assert names[:7] == [
        *("total", "content", "contentrelu4_2"),
        *("style", "stylerelu1_1", "stylerelu2_1", "tv"),
    ]


def test_terms_that_the_program_may_learn_later_are_shown():
    more = [{**row, "scale": "1", "laplacian": "2.5"} for row in rows(3)]
    page = page_of(rows=more)
    assert "laplacian" in page.all("svg")[0]["aria-label"]
    assert "scale" not in page.all("svg")[0]["aria-label"]


def test_losses_that_are_not_finite():
    wild = rows(4)
    wild[-1] |= {"total": "nan", "style": "inf"}
    text = words(page_of(rows=wild))
    assert "from 5 to nan." in text
    assert "total, style at step 3; content at step 0" in text


def test_scales_are_marked_and_only_one_is_compared():
    page = page_of(scales=((0, "16 x 12"), (2, "32 x 24")))
    assert "Loss at this size from 1.375 to 1.312" in words(page)
    assert page.text.count("32 x 24") == 2  # in each plot
    before = page_of(scales=((0, "16 x 12"), (9, "32 x 24")))
    assert "Loss from 5 to" in words(before)


def test_settings_that_differ_are_marked():
    changed = settings(
        inputs=InputConfig(size=77, style=("a,b <i>.jpg",)), solve=SolveConfig(steps=5)
    )
    text = report.html(RUN._replace(settings=changed))
    marked = re.findall(r'row">(\w+)</th><td><strong>(.*?)</strong>', text)
    assert {name for name, _ in marked} == {"style", "size", "steps"}
    assert dict(marked)["size"] == "77"
    assert "a,b &lt;i&gt;.jpg" in dict(marked)["style"]
    every = set(re.findall(r'<th scope="row">(\w+)</th>', text))
    asked = {field.name for field, _ in flagfile.settings(Config())}
    kept = set(re.findall(r"^--(\w+)=", changed, re.MULTILINE))
    assert kept <= every & asked
    assert changed in Page(text).text


def test_defaults_have_no_marks():
    text = report.html(RUN)
    assert "All are the defaults." in text
    assert "<td><strong>" not in text


def test_pictures_on_the_way_are_a_dozen_at_most():
    between = [(step, picture(step, 3, 4)) for step in range(0, 400, 10)]
    page = page_of(between=between)
    steps = [int(found) for found in re.findall(r"Step (\d+)", page.text)]
    assert len(steps) == 12
    assert steps[0] == 0
    assert steps[-1] == 390
    assert np.ptp(np.diff(steps)) <= 10


@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_style_is_shown(count):
    page = page_of(styles=[picture(seed) for seed in range(count)])
    alts = [attributes["alt"] for attributes in page.all("img")]
    names = ["Style"] if count == 1 else [f"Style {n + 1}" for n in range(count)]
    assert alts == ["Result", "Content", *names]


def test_facts_warnings_phases_and_memory():
    page = page_of(
        facts={"device": "CPU <2 cores>"},
        warnings=("it <broke>",),
        phases={"load": 1.5, "optimise": 7300.0},
        peak_memory={"host": 3 * 2**30, "device": 5 * 2**20},
    )
    text = words(page)
    for part in ("CPU <2 cores>", "it <broke>", "1.50 s", "2 h 1 min", "3.0 GiB"):
        assert part in text
    assert "5 MiB" in text
    assert "2 h 1 min in all" in text


def test_a_run_is_the_same_page_twice():
    assert report.html(RUN) == report.html(RUN)


def test_file_names_that_are_not_unicode():
    strange = settings(inputs=InputConfig(content="\udcfcmlaut.jpg"))
    text = report.html(RUN._replace(title="x\udcfc.png", settings=strange))
    assert "mlaut.jpg" in Page(text.encode("utf-8").decode()).text


def test_a_large_run_stays_below_three_megabytes():
    # Noise, which no format makes small, smoothed to what a painting may have.
    def rough(height, width):
        fine = np.repeat(np.repeat(picture(0, height // 4, width // 4), 4, 0), 4, 1)
        return np.clip(fine * 0.7 + 0.3 * picture(1, *fine.shape[:2]), 0, 1)

    large = rough(1600, 2000).astype(np.float32)
    small = rough(720, 900).astype(np.float32)
    page = report.html(
        RUN._replace(
            content=small,
            styles=(small, small),
            result=large,
            between=[(step, small) for step in range(12)],
            rows=rows(300),
        )
    )
    assert len(page) < 3_000_000
