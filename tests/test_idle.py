"""What was typed and does nothing is told; what acts is not."""

import numpy as np
import pytest
from PIL import Image

from nst_jax import flags, idle, inputs
from nst_jax.inputs import Shapes

ONE, TWO = Shapes([(384, 512)]), Shapes([(192, 256), (384, 512)])


def told(*arguments, shapes=ONE):
    words = ["--content=a.jpg", "--style=b.jpg", "--output=c.png", *arguments]
    request = flags.parse(words, read_settings=str)
    return idle.told(request.config, request.typed, shapes)


# A flag that does nothing as it stands, and what lets it act.
ROWS = [
    ("--accumulator=1", "--optimizer=adagrad"),
    ("--noantialias", "--filter=box", "--filter=area"),
    ("--average_decay=0.5", "--keep=average"),
    ("--beta1=0.5", "--optimizer=adam"),
    ("--beta2=0.5", "--optimizer=adam"),
    ("--checkpoint_every=5", "--checkpoint=d"),
    ("--color_when=after", "--color=linear-pca", "--color=luminance"),
    ("--connect_timeout=5", "--distributed"),
    ("--content_layers=relu2_1", "--content_weight=1", "--content_weight=0"),
    ("--content_loss=sum", "--content_weight=1", "--content_weight=0"),
    ("--content_weight=5", "--laplacian_weight=1", "--strength=0.5"),
    ("--decay=0.5", "--optimizer=rmsprop"),
    ("--epsilon=0.5", "--optimizer=adagrad", "--optimizer=sgd"),
    ("--epsilon_place=root", "--optimizer=rmsprop"),
    ("--first_step=0.5", "--line_search=none"),
    ("--gram_division=none", "--style_loss=gram", "--style_loss=covariance,gram:0"),
    ("--history=5", "--optimizer=lbfgs", "--optimizer=adam"),
    ("--laplacian_pool=2", "--laplacian_weight=1"),
    ("--line_search=none", "--optimizer=lbfgs", "--optimizer=sgd"),
    ("--linesearch_steps=5", "--line_search=zoom", "--line_search=none"),
    ("--log_every=1", "--metrics=m.csv"),
    ("--longest_step=0.5", "--line_search=none"),
    ("--momentum=0.5", "--optimizer=sgd"),
    ("--nesterov", "--momentum=0.5", "--optimizer=sgd"),
    ("--noise=normal", "--init=blend"),
    ("--noise_amplitude=0.5", "--noise=uniform", "--init=noise --noise=style"),
    ("--noise_ratio=0.5", "--init=blend", "--init=noise"),
    (
        "--pool_rounding=ceil",
        "--style_layers=relu2_1",
        "--content_layers=relu1_2 --style_layers=relu1_1",
    ),
    ("--preview_every=5", "--preview=p.png"),
    ("--protect=m.png", "--content_weight=1", "--content_weight=0"),
    ("--protect_weight=5", "--protect=m.png"),
    ("--quality=50", "--output=c.jpg"),
    ("--region_weights=1", "--content_mask=m.png"),
    ("--root_steps=5", "--style_loss=wasserstein"),
    ("--schedule_rate=0.5", "--schedule=exponential", "--optimizer=adam"),
    ("--schedule_steps=5", "--schedule=cosine", "--optimizer=adam"),
    ("--seed=5", "--init=noise"),
    ("--spread=rows", "--devices=2"),
    ("--size_rule=width", "--size=64", "--size=0"),
    ("--style_loss=covariance", "--style_weight=1", "--style_weight=0"),
    ("--style_reduction=sum", "--style_loss=gram", "--style_loss=wasserstein"),
    ("--style_weight=5", "--tv_weight=1", "--strength=0.5 --tv_weight=0"),
    ("--style_weights=5", "--style=b.jpg,d.jpg"),
    ("--tolerance_steps=5", "--tolerance=0.1"),
    ("--tv_loss=absolute", "--tv_weight=1", "--tv_weight=0"),
    ("--tv_range=1", "--laplacian_weight=1", "--tv_weight=0"),
    ("--weights_source=url", "--nooffline", "--offline"),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_setting_is_told_of_until_it_acts(row):
    flag, acts, *idle_with = row
    before = " ".join(idle_with).split()
    name = {"--noantialias": "--antialias"}.get(flag, flag.partition("=")[0])
    lines = [line for line in told(*before, flag) if line.startswith(f"{name} ")]
    assert len(lines) == 1
    assert lines[0].isprintable()
    assert told(*before, flag, *acts.split()) == []


def test_every_row_is_of_a_setting():
    assert idle._NEEDS.keys() <= flags.settings(flags.Config).keys()


def test_what_stands_in_a_file_or_acts_always_is_not_told_of(tmp_path):
    path = tmp_path / "x.flags"
    path.write_text(
        "--noise_ratio=0.5\n--scale_steps=5\n--scales=700\n--save_every=999"
    )
    assert told(f"--flagfile={path}", "--preset=coursera") == []
    assert told("--pooling=max", "--tv_weight=5", "--style_scale=2", "--offline") == []
    # To turn off what does nothing is no mistake.
    assert told("--nonesterov") == []


SMALL = "the layers need 16 px on each side"
ROUNDED = "rounded, that is the size of the result"


@pytest.mark.parametrize(
    ("typed", "lines"),
    [
        ("--scales=256,512", []),
        ("--scales=384 --size_rule=height --size=384", []),
        (
            "--scales=8,16,256,700,800",
            [f"8 and 16: {SMALL}", "700 and 800: the result has 512 px"],
        ),
        # The multiples are of 16 px: the result has 384x512, and 508 is 384x512.
        ("--scales=256,508 --wrap=xy", [f"508: {ROUNDED}"]),
        (
            "--scales=8,256,508 --wrap=xy --laplacian_weight=1 --laplacian_pool=8",
            [f"8: {SMALL.replace('16', '24')}", f"508: {ROUNDED}"],
        ),
        # The result has 384x512 px, a square of 443.4.
        (
            "--scales=443,444 --size_rule=area --size=443",
            ["444: the result has 443 px"],
        ),
        ("--scales=439 --size_rule=area --size=443 --wrap=xy", [f"439: {ROUNDED}"]),
    ],
)
def test_sizes_that_are_not_used_are_told_of(tmp_path, typed, lines):
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((60, 80, 3), np.uint8)).save(path)
    words = [f"--content={path}", f"--style={path}", "--output=c.png", "--size=512"]
    request = flags.parse([*words, *typed.split()], read_settings=str)
    found = inputs.shapes(inputs.read(request.config), request.config)
    told = idle.told(request.config, frozenset({"scales"}), found)
    assert told == [f"--scales leaves out {line}" for line in lines]


def test_rules_of_scales_that_are_not_used_are_told_of():
    for text in ("2", "sqrt2"):
        assert told(f"--scales={text}", shapes=TWO) == []
        (line,) = told(f"--scales={text}")
        assert line == f"--scales={text} has no effect here: it needs a larger --size"
    assert told("--scales=auto") == told("--scales=none") == []


@pytest.mark.parametrize("flag", ["--scale_steps=5", "--scale_filter=lanczos"])
def test_what_is_for_several_scales_is_told_of_at_one(flag):
    (line,) = told(flag)
    assert line.startswith(flag.partition("=")[0])
    assert told(flag, shapes=TWO) == []


def test_pictures_that_would_be_kept_after_the_end_are_told_of():
    assert told("--save_every=300") == [
        "--save_every=300 keeps no picture of 300 steps: give fewer"
    ]
    assert told("--save_every=299") == []
    assert told("--save_every=300", shapes=TWO) == []
    assert told("--save_every=300", "--steps=0") == []
