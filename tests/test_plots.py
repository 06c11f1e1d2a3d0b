"""Curves in a page: every point drawn or accounted for, every name readable."""

import re
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_jax import report
from nst_jax.errors import RequestError
from nst_jax.report import drawing, page, plots
from tests.pages import Page

LINEAR, LOG = plots.Axis("step"), plots.Axis("loss", log=True)


def drawn(series, x=LINEAR, y=LOG, marks=()):
    block = plots.curves("a plot", series, x, y, marks)
    return Page(page.document("x", block))


def lines(plot):
    """The lines of the plot by colour: their points, and how they look."""
    found = {}
    for attributes in plot.all("path"):
        match = re.search(r"stroke: var\(--series-(\d)\)", attributes.get("style", ""))
        is_line = "clip-path" in attributes and "stroke-width" in attributes["style"]
        if match and is_line:
            points = re.findall(r"[ML] ([-\d.]+) ([-\d.]+)", attributes["d"])
            dash = re.search(r"stroke-dasharray: ([\d., ]+)", attributes["style"])
            numbers = [(float(x), float(y)) for x, y in points]
            found[match[1], dash and dash[1]] = numbers
    return found


def test_points_stand_where_they_belong():
    only = plots.Curve([0, 1, 2, 3], [1, 10, 100, 1000])
    (points,) = lines(drawn({"a": only})).values()
    steps = np.diff(points, axis=0)
    np.testing.assert_allclose(steps, [steps[0]] * 3, rtol=1e-4)
    assert steps[0][0] > 0 > steps[0][1]  # to the right, and upwards


def test_zeros_on_a_logarithmic_axis_are_told():
    plot = drawn({"a": plots.Curve([0, 1, 2, 3], [0, 5, 6, 7])})
    ((points),) = lines(plot).values()
    assert len(points) == 3
    assert "negative or not finite: a at step 0." in plot.text


def test_what_is_left_out_is_named_once():
    curve = plots.Curve([0, 1, 2], [3, 2, 1])
    bad = plots.Curve([1, 2, 3], [-1, 0, float("nan")])
    plot = drawn({"a": curve, "b": curve, "bad": bad}, LINEAR._replace(log=True))
    assert "finite: a, b at step 0; bad (3 points)." in plot.text
    many = drawn({str(n): curve for n in range(12)}, LINEAR._replace(log=True))
    assert "12 lines at step 0" in many.text


def test_what_is_not_finite_is_left_out_of_linear_axes():
    y = [1, float("nan"), -3, float("inf")]
    plot = drawn({"a": plots.Curve([0, 1, 2, 3], y)}, y=LINEAR)
    assert [len(points) for points in lines(plot).values()] == [2]
    assert "because not finite: a (2 points)." in plot.text


def test_an_axis_without_anything_positive_is_linear():
    plot = drawn({"a": plots.Curve([0, 1], [0, 0]), "b": plots.Curve([0, 1], [0, -2])})
    assert [len(points) for points in lines(plot).values()] == [2, 2]
    assert "Not drawn" not in plot.text


@pytest.mark.parametrize(
    "series",
    [{}, {"a": plots.Curve([], [])}, {"a": plots.Curve([1], [float("nan")])}],
)
def test_nothing_to_draw_is_said(series):
    plot = drawn(series)
    assert plot.all("svg") == []
    assert re.search(r"Nothing to draw|a at step 1", plot.text)


@pytest.mark.parametrize("value", [0.0, 3.0, -1.0, 1e-30, 1e30])
def test_one_point_is_drawn(value):
    plot = drawn({"a": plots.Curve([0], [value])})
    assert plot.all("use") != []  # its marker


@pytest.mark.parametrize("values", [[2.0, 2.1], [1.0, 1e4], [1e-3, 1e9], [5.0, 5.0]])
def test_a_logarithmic_axis_has_labels(values):
    plot = drawn({"a": plots.Curve([0, 1], values)}, marks=[(0, "")])
    labels = re.findall(r"\S+", plot.text.split("step")[1])
    numbers = [word for word in labels if re.match(r"[\d.]+(×|10[⁻⁰-⁹]|$)", word)]  # noqa: RUF001
    assert len(numbers) >= 2


def test_powers_of_ten():
    text = drawn({"a": plots.Curve([0, 1], [1e-5, 1e6])}).text
    assert "10⁻⁴" in text
    assert "10⁴" in text


def test_whole_numbers_only():
    axis = plots.Axis("step", is_whole=True)
    text = drawn({"a": plots.Curve([0, 1, 2], [1, 2, 3])}, axis).text
    assert not re.search(r"\b[01]\.\d", text.split("step")[0])


def test_names_stay_as_they_are():
    name = "$x_1$ <b>&amp; 日本 'q'"
    plot = drawn({name: plots.Curve([0, 1], [1, 2]), "_b": plots.Curve([0, 1], [2, 1])})
    assert name in plot.text
    assert "_b" in plot.text
    assert name in plot.all("svg")[0]["aria-label"]
    assert "a\ufffdb" in drawn({"a\0b": plots.Curve([0, 1], [1, 2])}).text


def test_no_name_stands_on_another():
    same = {f"line {n}": plots.Curve([0, 1], [1 + n, 5]) for n in range(30)}
    block = plots.curves("a plot", same, LINEAR, LOG)
    found = re.findall(r'y="([\d.]+)"[^>]*>line \d+<', block)
    found += re.findall(r"translate\([\d.]+ ([\d.]+)\)[^>]*>line \d+<", block)
    places = sorted(float(place) for place in found)
    assert len(places) == 30
    assert np.diff(places).min() > 9
    height = float(re.search(r'viewBox="0 0 [\d.]+ ([\d.]+)"', block)[1])
    assert 0 < places[0] < places[-1] < height


def test_thirty_lines_look_different():
    series = {str(n): plots.Curve([0, 1], [1 + n, 5]) for n in range(30)}
    series["main"] = plots.Curve([0, 1], [1, 2], is_main=True)
    assert len(lines(drawn(series))) == 31


def test_marks_that_the_axis_cannot_show_are_left_out():
    curve = {"a": plots.Curve([1, 2], [1, 2])}
    plot = drawn(curve, LINEAR._replace(log=True), marks=[(0, "zero"), (2, "two")])
    assert "two" in plot.text
    assert "zero" not in plot.text


def test_many_marks_do_not_write_over_each_other():
    marks = [(n, "1024x1024") for n in range(40)]
    plot = drawn({"a": plots.Curve([0, 40], [1, 2])}, marks=marks)
    assert 2 <= plot.text.count("1024x1024") <= 6


def test_the_same_curves_are_the_same_text(monkeypatch):
    import matplotlib

    def text():
        curve = plots.Curve([0, 1, 2], [3, 2, 1])
        return plots.curves("a", {"b": curve}, LINEAR, LOG)

    first = text()
    monkeypatch.setitem(matplotlib.rcParams, "ytick.labelsize", 20)
    monkeypatch.setitem(matplotlib.rcParams, "svg.fonttype", "path")
    assert text() == first


def test_colours_are_the_pages_own():
    block = plots.curves("a", {"b": plots.Curve([0, 1], [1, 2])}, LINEAR, LOG)
    assert not re.search(r"(stroke|fill): #", block)


def test_a_long_run_is_drawn_small():
    noise = np.random.default_rng(0).normal(size=20_000)
    curve = plots.Curve(list(range(20_000)), list(np.exp(noise).tolist()))
    assert len(plots.curves("a", {"b": curve}, LINEAR, LOG)) < 1_000_000


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    report.check()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(RequestError, match="pip install 'matplotlib") as caught:
        report.check()
    assert "\n" not in str(caught.value)


@settings(deadline=None, max_examples=100)
@given(
    wanted=st.lists(st.floats(-50, 150), min_size=1, max_size=12),
    gap=st.floats(0.5, 15),
)
def test_spread_keeps_order_and_distance(wanted, gap):
    found = drawing.spread(wanted, 0, 100, gap)
    order = sorted(range(len(wanted)), key=lambda place: wanted[place])
    places = [found[place] for place in order]
    assert all(np.diff(places) >= gap - 1e-9)
    if gap * (len(wanted) - 1) <= 100:
        assert places[0] >= -1e-9
        assert places[-1] <= 100 + 1e-9
