"""Figures: every pixel in its place, text that survives any name."""

import io

import numpy as np
import pytest
from PIL import Image

from nst_jax.errors import RequestError
from nst_jax.show import figures
from nst_jax.show.figures import Panel, Row


def tile(rows, columns, seed=0):
    """Colours that 8 bits hold exactly, none of them white."""
    values = np.random.default_rng(seed).integers(0, 200, (rows, columns, 3))
    return (values / 255).astype(np.float32)


def shown(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def places(figure, panel):
    """Where in a figure the pixels of a panel stand, exactly."""
    wanted = np.rint(panel * 255).astype(np.uint8)
    rows, columns = wanted.shape[:2]
    found = np.argwhere((figure == wanted[0, 0]).all(2))
    return [
        (top, left)
        for top, left in found
        if np.array_equal(figure[top : top + rows, left : left + columns], wanted)
    ]


def test_every_panel_stands_whole_and_once_in_reading_order():
    panels = [[tile(30, 41, 1), tile(20, 41, 2)], [tile(25, 33, 3)]]
    rows = [Row("Heading", [Panel(each, "x") for each in row]) for row in panels]
    figure = shown(figures.png("Title", "note", rows))
    (one,), (two,), (three,) = (places(figure, each) for row in panels for each in row)
    assert one[0] == two[0]
    assert two[1] >= one[1] + 41
    assert three[0] >= one[0] + 30
    assert three[1] == one[1]


@pytest.mark.parametrize("width", [480, 481, 487, 499, 503])
def test_no_pixel_is_lost_at_the_edges(width):
    panel = tile(17, width)
    figure = shown(figures.png("Title", "", [Row("", [Panel(panel, "")])]))
    assert len(places(figure, panel)) == 1


def test_words_are_drawn_where_they_belong():
    panel = Panel(np.ones((20, 60, 3), np.float32), "")
    plain = shown(figures.png("", "", [Row("", [panel])]))
    labelled = shown(figures.png("", "", [Row("", [panel._replace(label="relu1_1")])]))
    assert (plain == 255).all()
    rows, columns = np.nonzero((labelled != plain).any(2))
    assert rows.min() >= 18
    assert rows.max() < 20 + 16
    assert 20 < columns.mean() < 80


@pytest.mark.parametrize("name", ["$x^$.jpg", "\N{SNOWMAN}\U00012000.png", "%s {}"])
def test_any_name_can_be_a_title(name):
    panel = Row("", [Panel(tile(5, 5), name)])
    assert shown(figures.png(name * 9, name, [panel])).min() < 100


def test_a_long_title_takes_more_lines_and_stays_inside():
    row = [Row("", [Panel(np.ones((9, 9, 3), np.float32), "")])]
    short, long = (shown(figures.png("word " * n, "", row)) for n in (1, 40))
    assert long.shape[0] > short.shape[0]
    assert (long[:, -20:] == 255).all()


def test_the_same_figure_is_the_same_file():
    row = [Row("", [Panel(tile(9, 9), "a")])]
    assert figures.png("t", "n", row) == figures.png("t", "n", row)


@pytest.mark.parametrize(
    ("count", "columns", "expected"),
    [(64, 0, [8] * 8), (5, 0, [3, 2]), (5, 9, [5]), (7, 2, [2, 2, 2, 1]), (1, 0, [1])],
)
def test_a_sheet_is_as_square_as_can_be(count, columns, expected):
    rows = figures.sheet([tile(4, 4, seed) for seed in range(count)], columns)
    assert [len(row.panels) for row in rows] == expected
    labels = [panel.label for row in rows for panel in row.panels]
    assert labels == [str(number) for number in range(count)]


def test_tiles_are_enlarged_by_whole_numbers():
    small = tile(3, 4)
    (row,) = figures.sheet([small, small], columns=2)
    times = row.panels[0].pixels.shape[1] // 4
    assert times > 1
    for y, x in ((0, 0), (1, 3), (2, 2)):
        block = row.panels[0].pixels[y * times : (y + 1) * times, x * times :][
            :, :times
        ]
        assert (block == small[y, x]).all()


def test_tiles_are_shrunk_by_their_mean():
    large = np.full((3000, 2000, 3), 0.25, np.float32)
    large[:, ::2] = 0.75
    ((panel,),) = [row.panels for row in figures.sheet([large])]
    assert panel.pixels.shape == (480, 320, 3)
    np.testing.assert_allclose(panel.pixels.mean(), 0.5, atol=1e-3)


def test_colours_rise_with_the_values_whatever_their_range():
    values = np.linspace(-3, 5, 200, dtype=np.float32).reshape(10, 20)
    light = figures.colored(values).sum(2)
    assert (np.diff(light.ravel()) >= -1e-6).all()
    assert light[0, 0] < 0.1
    assert light[-1, -1] > 2
    moved = figures.colored(values * 7 + 1)
    np.testing.assert_allclose(moved, figures.colored(values), atol=0.02)


def test_one_bright_spot_does_not_blacken_a_map():
    values = np.linspace(0, 1, 10_000, dtype=np.float32).reshape(100, 100)
    values[0, 0] = 1000
    assert figures.colored(values).mean() > 0.3


@pytest.mark.parametrize("value", [0, 3.5, -2])
def test_a_flat_map_is_dark(value):
    assert figures.colored(np.full((4, 4), value, np.float32)).max() < 0.1


def test_a_sparse_map_still_shows_its_spot():
    values = np.zeros((100, 100), np.float32)
    values[5, 5] = 1e-3
    assert figures.colored(values)[5, 5].sum() > 2


def test_a_figure_too_large_is_refused():
    rows = [Row("", [Panel(tile(1000, 10), "")])] * 40
    with pytest.raises(RequestError, match=r"480x4\d+ px.*columns"):
        figures.png("", "", rows)


def test_a_label_has_room_beside_the_next():
    panels = [tile(30, 64, 1), tile(30, 64, 2)]
    label = "style_weight=1e-3"
    figure = shown(figures.png("", "", [Row("", [Panel(p, label) for p in panels])]))
    (one,), (two,) = (places(figure, each) for each in panels)
    above = (figure[: one[0]] != 255).any(axis=(0, 2))
    assert above[one[1] : two[1] - 4].any()
    assert not above[two[1] - 4 : two[1]].any()
    narrow = [Row("", [Panel(p, "1") for p in panels])]
    (_,), (near,) = (places(shown(figures.png("", "", narrow)), p) for p in panels)
    assert near[1] == 20 + 64 + 8, "short labels need no room"


def test_a_label_of_several_lines_stands_above_its_panel():
    panels = [tile(30, 64, 1), tile(30, 64, 2)]
    labels = ["a_rather_long_name_of_a_painting.png", "short.png"]
    row = Row("", [Panel(*each) for each in zip(panels, labels, strict=True)])
    figure = shown(figures.png("", "", [row]))
    (one,), (two,) = (places(figure, each) for each in panels)
    assert one[0] == two[0]
    ink = (figure[: one[0]] != 255).any(axis=2)
    first, second = ink[:, : two[1]], ink[:, two[1] :]
    heights = [np.ptp(np.flatnonzero(each.any(axis=1))) for each in (first, second)]
    assert heights[0] > 2 * heights[1]
    assert first.any(axis=1)[-16:].any(), "the last line is that next to the picture"
    assert second.any(axis=1)[-16:].any()


@pytest.mark.parametrize(
    ("label", "width", "lines"),
    [
        ("", 5, [""]),
        ("style_weight=1e-3", 120, ["style_weight=1e-3"]),
        ("style_weight=1e-3", 100, ["style_weight=", "1e-3"]),
        ("preset=style-transfer-2", 80, ["preset=", "style-", "transfer-2"]),
        ("x" * 25, 65, ["x" * 10, "x" * 10, "x" * 5]),
        ("x" * 50, 65, ["x" * 10, "x" * 10, "x" * 9 + "\u2026"]),
    ],
)
def test_labels_break_after_signs_and_not_within_numbers(label, width, lines):
    assert figures._broken(label, width) == lines


def test_a_long_heading_takes_more_lines_and_stays_inside():
    panels = [Panel(tile(30, 64), "x")]
    short, long = (
        shown(figures.png("", "", [Row("style_scale=2, " * n, panels)])) for n in (1, 9)
    )
    assert long.shape[0] > short.shape[0]
    assert (long[:, -20:] == 255).all()
    (place,) = places(long, panels[0].pixels)
    between = (long[place[0] - 30 : place[0] - 12] == 255).all(axis=(1, 2))
    assert between.any(), "heading and label do not touch"
