"""Control over where, which and how: properties of masks, mixtures, colours, scales."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax import flagfile, flags, images, objective, prepare, solve, transfer
from nst_jax.arrays import Weights
from nst_jax.config import (
    Config,
    ControlConfig,
    NetworkConfig,
    ObjectiveConfig,
    OptimizerConfig,
    SolveConfig,
)
from nst_jax.errors import RequestError
from nst_jax.pictures import Pictures

CONFIG = Config(
    network=NetworkConfig(pooling="max", padding="zero"),
    objective=ObjectiveConfig(
        content_layers=("relu2_2",),
        style_layers=("relu1_1", "relu2_1", "relu3_1"),
        style_weight=10.0,
        gram_division="positions",
        tv_weight=0.1,
        tv_range=1.0,
    ),
    optimizer=OptimizerConfig(optimizer="adam", learning_rate=0.02),
    solve=SolveConfig(steps=4),
)
EVERY_LOSS = ("gram", "mean_std:0.5", "covariance", "wasserstein:0.1")


@pytest.fixture(scope="module")
def network(small_params, unit_preprocessing):
    return Weights("vgg19", small_params, unit_preprocessing, "random", "", "")


@pytest.fixture(scope="module")
def pictures():
    generator = np.random.default_rng(3)
    return (
        generator.random((18, 20, 3)).astype(np.float32),
        generator.random((19, 17, 3)).astype(np.float32),
        (generator.random((16, 22, 3)) ** 3).astype(np.float32),
    )


def change(config=CONFIG, **groups):
    return dataclasses.replace(
        config,
        **{
            name: dataclasses.replace(getattr(config, name), **values)
            for name, values in groups.items()
        },
    )


def halves(shape):
    """Two regions, left and right."""
    mask = np.zeros((*shape[:2], 2), np.float32)
    mask[:, : shape[1] // 2, 0] = 1
    mask[:, shape[1] // 2 :, 1] = 1
    return mask


def terms(given, network, config, image=None):
    how, problem = prepare.problem(given, network, config)
    image = given.content[::-1] if image is None else image
    return compiled(how, problem, jnp.asarray(image.copy()))


# Step by step, each kind of product would compile by itself.
compiled = jax.jit(objective.terms, static_argnums=0)


def total(how, problem, image):
    return objective.terms(how, problem, image).total


sloped = jax.jit(jax.grad(total, argnums=2), static_argnums=0)


@pytest.mark.parametrize("losses", [("gram",), EVERY_LOSS])
def test_a_mask_of_ones_is_no_mask(network, pictures, losses):
    content, style, _ = pictures
    config = change(objective={"style_loss": losses})
    ones = [np.ones((*p.shape[:2], 1), np.float32) for p in (content, style)]
    plain = terms(Pictures(content, (style,)), network, config)
    masked = Pictures(content, (style,), regions=ones[0], style_regions=(ones[1],))
    for name, value in terms(masked, network, config).style.items():
        assert float(value) == pytest.approx(float(plain.style[name]), rel=1e-6)


def test_regions_permuted_together_change_nothing(network, pictures):
    content, style, _ = pictures
    given = Pictures(
        content,
        (style,),
        regions=halves(content.shape),
        style_regions=(halves(style.shape),),
    )
    control = {"region_weights": (1.0, 3.0)}
    turned = given._replace(
        regions=given.regions[..., ::-1].copy(),
        style_regions=(given.style_regions[0][..., ::-1].copy(),),
    )
    one = terms(given, network, change(control=control))
    two = terms(turned, network, change(control={"region_weights": (3.0, 1.0)}))
    assert float(one.total) == pytest.approx(float(two.total), rel=1e-6)
    # And the regions matter: against each other's style the loss is another one.
    crossed = given._replace(regions=turned.regions)
    three = terms(crossed, network, change(control=control))
    assert abs(float(three.total) / float(one.total) - 1) > 1e-3


def test_a_region_is_the_loss_of_its_own_pixels(network, pictures):
    """The second seed's formula, on a layer that sees single pixels only."""
    content, style, _ = pictures
    config = change(
        objective={
            "content_weight": 0.0,
            "tv_weight": 0.0,
            "style_layers": ("relu1_1",),
        }
    )
    masks = [halves(p.shape) for p in (content, style)]
    # Wide soft borders would mix the regions: only the far columns are left.
    for mask in masks:
        mask[:, 6:-6] = 0
    given = Pictures(content, (style,), regions=masks[0], style_regions=(masks[1],))
    image = content[::-1].copy()
    how, problem = prepare.problem(given, network, config)
    found = float(compiled(how, problem, jnp.asarray(image)).total)
    from nst_jax import masks as room
    from nst_jax import vgg

    features = [
        np.float64(
            vgg.features(
                network.params,
                network.preprocessing,
                jnp.asarray(p),
                ("relu1_1",),
                how.forward,
            )["relu1_1"]
        )
        for p in (image, style)
    ]
    soft = [np.float64(room.at_layer(jnp.asarray(m), 1, "floor")) for m in masks]
    want = 0.0
    for k in range(2):
        grams = [
            np.einsum("hw,hwc,hwd->cd", m[..., k], f, f) / m[..., k].sum()
            for m, f in zip(soft, features, strict=True)
        ]
        want += 10.0 / 2 * np.mean((grams[0] - grams[1]) ** 2)
    assert found == pytest.approx(want, rel=1e-5)


def test_a_region_without_style_stays_as_it_is(network, pictures):
    content, style, _ = pictures
    config = change(control={"region_weights": (1.0, 0.0)})
    result = transfer.stylize(
        content, style, network, config, regions=halves(content.shape)
    )
    np.testing.assert_array_equal(result.image[:, 10:], content[:, 10:])
    assert np.abs(result.image[:, :9] - content[:, :9]).max() > 0.01


def test_each_region_its_own_style(network, pictures):
    content, first, second = pictures
    mask = halves(content.shape)
    given = Pictures(
        content, (first, second), regions=mask, shares=((1.0, 0.0), (0.0, 1.0))
    )
    both = terms(given, network, CONFIG)
    alone = [
        terms(
            Pictures(content, (style,), regions=mask),
            network,
            change(control={"region_weights": weights}),
            # A region without a weight would hold its pixels: they are the same.
            image=content[::-1].copy(),
        )
        for style, weights in ((first, (1.0, 1e-9)), (second, (1e-9, 1.0)))
    ]
    for name, value in both.style.items():
        assert float(value) == pytest.approx(
            sum(float(each.style[name]) for each in alone), rel=1e-5
        )


def slope(given, network, config):
    """The gradient of all terms at an image that is neither content nor style."""
    how, problem = prepare.problem(given, network, config)
    image = jnp.asarray(given.content[::-1].copy())
    return np.asarray(sloped(how, problem, image))


def layered(weights, names=("relu1_1", "relu2_1", "relu3_1")):
    return tuple(f"{name}:{each}" for name, each in zip(names, weights, strict=True))


STYLE_ALONE = {"content_weight": 0.0, "tv_weight": 0.0}


@pytest.mark.parametrize("divided", [False, True])
def test_the_same_weight_for_every_style_is_one_weight_to_the_bit(
    network, pictures, divided
):
    content, *styles = pictures
    given = Pictures(content, tuple(styles))
    if divided:
        given = given._replace(
            regions=halves(content.shape),
            style_regions=tuple(halves(style.shape) for style in styles),
            shares=((0.3, 0.9), (0.7, 0.1)),
        )
    goal = {"style_loss": EVERY_LOSS[:3], "style_weights": (0.1, 0.6)}
    plain = change(objective=goal | {"style_layers": layered(["0.3", "1", "0.7"])})
    each = layered(["0.3/0.3", "1/1", "0.7/0.7"])
    same = change(objective=goal | {"style_layers": each})
    one, two = (prepare.problem(given, network, config) for config in (plain, same))
    assert one[0] == two[0]
    assert jax.tree.structure(one[1]) == jax.tree.structure(two[1])
    for left, right in zip(*map(jax.tree.leaves, (one[1], two[1])), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("losses", [("gram",), EVERY_LOSS[:3]])
@pytest.mark.parametrize(("each", "style_weight"), [("2/0", 10.0), ("1/0", 20.0)])
def test_weights_of_the_first_style_only_leave_it_alone(
    network, pictures, losses, each, style_weight
):
    content, first, second = pictures
    config = change(objective={"style_loss": losses})
    alone = terms(Pictures(content, (first,)), network, config)
    goal = {"style_layers": layered([each] * 3), "style_weight": style_weight}
    both = Pictures(content, (first, second))
    left = terms(both, network, change(config, objective=goal))
    for name, value in alone.style.items():
        assert float(left.style[name]) == pytest.approx(float(value), rel=1e-6)
    # And the second counts where it has a weight.
    goal["style_layers"] = layered(["1/0", "1/1", "0/1"])
    mixed = terms(both, network, change(config, objective=goal))
    for name in ("relu2_1", "relu3_1"):
        ratio = float(mixed.style[name]) / float(left.style[name])
        assert abs(ratio - style_weight / 20) > 1e-3


@pytest.mark.parametrize("divided", [False, True])
def test_weights_by_style_and_layer_add_up_the_styles_own_slopes(
    network, pictures, divided
):
    """The sum over styles of share times weight times loss has the same slope."""
    content, *styles = pictures
    given = Pictures(content, tuple(styles))
    emphasis, shares = (1.0,), [(0.25,), (0.75,)]
    if divided:
        emphasis, shares = (1.0, 3.0), [(0.6, 0.0), (0.4, 1.0)]
        given = given._replace(
            regions=halves(content.shape),
            style_regions=tuple(halves(style.shape) for style in styles),
            shares=tuple(shares),
        )
    goal = STYLE_ALONE | {"style_weights": (1.0, 3.0)}
    each = layered(["1/0.5", "2/1", "0/3"])
    mixed = change(
        objective=goal | {"style_layers": each}, control={"region_weights": emphasis}
    )
    want = np.zeros_like(content)
    for index, own in enumerate((["1", "2", "0"], ["0.5", "1", "3"])):
        for region, share in enumerate(shares[index]):
            # A region without any weight would hold its pixels.
            weights = [1e-12] * len(emphasis)
            weights[region] = emphasis[region]
            alone = given._replace(
                styles=(styles[index],),
                style_regions=given.style_regions[index : index + 1],
                shares=(),
            )
            config = change(
                objective=STYLE_ALONE | {"style_layers": layered(own)},
                control={"region_weights": tuple(weights)},
            )
            want += share * slope(alone, network, config)
    found = slope(given, network, mixed)
    assert np.linalg.norm(found - want) < 1e-5 * np.linalg.norm(want)


def test_a_style_without_weight_at_a_layer_leaves_its_region_alone(network, pictures):
    content, first, second = pictures
    given = Pictures(
        content,
        (first, second),
        regions=halves(content.shape),
        shares=((1.0, 0.0), (0.0, 1.0)),
    )
    entries = {"style_layers": ("relu1_1:1/0",), "style_loss": EVERY_LOSS}
    found = slope(given, network, change(objective=STYLE_ALONE | entries))
    assert np.isfinite(found).all()
    assert np.abs(found[:, :8]).max() > 0
    # A softened mask and a 3x3 kernel look two pixels across.
    assert np.abs(found[:, 13:]).max() == 0


def test_a_layer_without_any_styles_weight_is_not_computed(network, pictures):
    content, first, second = pictures
    # relu5_1 and relu4_1 would need weights that are not there.
    entries = ("relu1_1", "relu2_1:0/2", "relu4_1:3/0", "relu5_1:0/0")
    goal = {"style_layers": entries, "style_weights": (0.0, 1.0)}
    config = change(objective=goal)
    given = Pictures(content, (first, second))
    how, _ = prepare.problem(given, network, config)
    assert how.style_layers == ("relu1_1", "relu2_1")
    found = terms(given, network, config)
    assert float(found.style["relu4_1"]) == float(found.style["relu5_1"]) == 0
    assert np.isfinite(float(found.total))


def test_another_balance_of_styles_compiles_nothing(network, pictures):
    content, *styles = pictures
    given = Pictures(content, tuple(styles))
    compiled = jax.jit(objective.terms, static_argnums=0)
    found, sizes = [], []
    for each in ("1/0", "0.5/2", "1"):
        config = change(objective={"style_layers": layered([each] * 3)})
        how, problem = prepare.problem(given, network, config)
        found.append(float(compiled(how, problem, jnp.asarray(content)).total))
        sizes.append(compiled._cache_size())
    # JAX shares the cache of one function among all who compile it.
    assert len(set(sizes)) == 1
    assert len(set(found)) == 3


def test_a_strength_weighs_the_sum_of_styles(network, pictures):
    """The range is measured with the weights, so that only their ratios count."""
    content, *styles = pictures
    given = Pictures(content, tuple(styles))
    found = []
    for each in (["1/0", "2/1", "0/1"], ["3/0", "6/3", "0/3"], ["1/0", "2/1", "1/1"]):
        goal = {"style_layers": layered(each), "strength": 0.5, "tv_weight": 0.0}
        config = change(objective=goal)
        how, problem = transfer.balanced_problem(given, network, config)
        image = jnp.asarray(content[::-1].copy())
        found.append(float(compiled(how, problem, image).total))
    assert found[0] == pytest.approx(found[1], rel=1e-5)
    assert found[0] != pytest.approx(found[2], rel=1e-3)


def test_weights_by_style_and_layer_are_kept_as_they_are_written(tmp_path):
    asked = ["--content=c.png", "--style=a.png,b.png", "--output=o.png"]
    asked.append("--style_layers=relu1_1:1/0.50,relu2_1,block3_conv1:0/2")
    config = flags.parse(asked, read_settings=images.read_settings).config
    for folders in (True, False):
        kept = tmp_path / f"{folders}.flags"
        kept.write_text(flagfile.dump(config, folders=folders))
        again = flags.parse(
            [f"--flagfile={kept}", "--output=o.png"],
            read_settings=images.read_settings,
        )
        assert again.config.objective == config.objective


@pytest.mark.parametrize(
    ("styles", "goal", "message"),
    [
        (2, {"style_layers": ("relu1_1:1/0/1",)}, "the 2 styles, got 3 in 'relu1_1:1"),
        (1, {"style_layers": ("relu1_1:1/0",)}, "the 1 styles, got 2 in 'relu1_1:1/0'"),
        (0, {"style_layers": ("relu1_1:1/0", "relu2_1:1/0/1")}, "2 styles, got 3"),
        (
            0,
            {"style_layers": ("relu1_1:1/0",), "style_weights": (1.0, 2.0, 3.0)},
            "the 3 styles, got 2",
        ),
        (2, {"style_weights": (1.0, 2.0, 3.0)}, "the 2 styles, got 3"),
        (2, {"content_layers": ("relu2_2:1/0",)}, "one weight, got 'relu2_2:1/0'"),
        (
            2,
            {"style_layers": ("relu1_1:1/0",), "style_weights": (0.0, 1.0)}
            | STYLE_ALONE,
            "must be above 0",
        ),
    ],
)
def test_wrong_counts_of_weights_by_style(styles, goal, message):
    inputs = {"style": tuple(f"{index}.png" for index in range(styles))}
    with pytest.raises(RequestError, match=message) as refusal:
        change(Config(), objective=goal, inputs=inputs)
    assert "\n" not in str(refusal.value)


def test_wrong_counts_of_weights_for_arrays(network, pictures):
    config = change(objective={"style_layers": ("relu1_1:1/0/2",)})
    with pytest.raises(RequestError, match="the 2 styles, got 3"):
        transfer.stylize(pictures[0], list(pictures[1:]), network, config)


def test_protect_weighs_the_content_inside(network, pictures):
    content, style, _ = pictures
    whole = np.ones(content.shape[:2], np.float32)
    plain = terms(Pictures(content, (style,)), network, CONFIG)
    config = change(control={"protect_weight": 5.0})
    held = terms(Pictures(content, (style,), protect=whole), network, config)
    left = terms(
        Pictures(content, (style,), protect=halves(content.shape)[..., 0]),
        network,
        config,
    )
    for name, value in plain.content.items():
        assert float(held.content[name]) == pytest.approx(5 * float(value), rel=1e-5)
        assert float(value) < float(left.content[name]) < 5 * float(value)


def test_fill_leaves_the_outside_to_the_bit(network, pictures):
    content, style, _ = pictures
    fill = halves(content.shape)[..., 0]
    result = transfer.stylize(content, style, network, CONFIG, fill=fill)
    np.testing.assert_array_equal(result.image[:, 10:], content[:, 10:])
    assert np.abs(result.image[:, :10] - content[:, :10]).max() > 0.01


@pytest.mark.parametrize("method", ["luminance", "histogram", "linear-symmetric"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_colours(network, pictures, method, when):
    content, style, _ = pictures
    style = style * np.float32([1.0, 0.2, 0.1])
    config = change(control={"color": method, "color_when": when})
    plain = transfer.stylize(content, style, network, CONFIG)
    kept = transfer.stylize(content, style, network, config)
    assert np.isfinite(kept.image).all()
    assert np.abs(kept.image - plain.image).max() > 0.01
    if method == "luminance":
        # Chroma: what is left of each channel without the luminance.
        y = np.float32([0.299, 0.587, 0.114])
        chroma = [
            p - (p @ y)[..., None] for p in (kept.image.astype(np.float64), content)
        ]
        assert np.abs(chroma[0] - chroma[1]).max() < 1 / 255


@pytest.mark.parametrize("losses", [*[(name,) for name in EVERY_LOSS], EVERY_LOSS])
def test_every_statistic_falls_and_ends_at_its_target(network, pictures, losses):
    content, style, _ = pictures
    config = change(objective={"style_loss": losses, "content_weight": 0.0})
    before = terms(Pictures(content, (style,)), network, config, content)
    result = transfer.stylize(
        content, style, network, change(config, solve={"steps": 12}),
        callback=lambda progress: True,
    )  # fmt: skip
    assert sum(map(float, result.terms.style.values())) < 0.9 * sum(
        map(float, before.style.values())
    )
    at_style = terms(Pictures(style, (style,)), network, config, style)
    for value in at_style.style.values():
        assert abs(float(value)) < 1e-3 * float(before.total)


def test_laplacian_holds_edges(network, pictures):
    content, style, _ = pictures
    config = change(objective={"laplacian_weight": 1.0, "laplacian_pool": 2})
    found = terms(Pictures(content, (style,)), network, config)
    assert float(found.content["laplacian"]) > 0
    same = terms(Pictures(content, (style,)), network, config, content)
    assert float(same.content["laplacian"]) == 0
    brighter = terms(
        Pictures(content, (style,)), network, config, np.float32(0.5) * content + 0.5
    )
    assert float(brighter.content["laplacian"]) > 0


def test_average_is_bias_corrected_and_counts_the_first_image(network, pictures):
    content, style, _ = pictures
    config = change(solve={"keep": "average", "average_decay": 0.5, "log_every": 1})
    seen = []
    result = transfer.stylize(
        content,
        style,
        network,
        config,
        callback=lambda now: seen.append(np.asarray(now.state.image)),
    )
    want, share = np.zeros_like(content), 1.0
    for image in seen:
        want, share = 0.5 * want + 0.5 * image, 0.5 * share
    np.testing.assert_allclose(result.image, want / (1 - share), atol=1e-6)


def test_best_is_the_image_of_the_lowest_loss(network, pictures):
    content, style, _ = pictures
    # Steps this long go up and down.
    config = change(
        optimizer={"learning_rate": 0.6},
        solve={"keep": "best", "log_every": 1, "steps": 6},
    )
    seen = []
    result = transfer.stylize(
        content,
        style,
        network,
        config,
        callback=lambda now: seen.append((now.value, np.asarray(now.state.image))),
    )
    values = [value for value, _ in seen]
    assert np.argmin(values) < len(values) - 1, "the last is not the best"
    np.testing.assert_array_equal(result.image, seen[np.argmin(values)][1])


def test_scales_rise_and_steps_run_on(network, pictures):
    content, style, _ = pictures
    large = np.repeat(np.repeat(content, 3, 0), 3, 1)
    config = change(
        solve={"scales": "20,40", "scale_steps": (3, 2), "steps": 1, "log_every": 1}
    )
    seen = []
    result = transfer.stylize(
        large,
        style,
        network,
        config,
        callback=lambda now: seen.append((now.step, now.image.shape[:2])),
    )
    assert [step for step, _ in seen] == [0, 1, 2, 3, 4, 5, 6]
    assert [shape[1] for _, shape in seen] == [20, 20, 20, 20, 40, 40, 60]
    assert result.image.shape == large.shape
    measured = transfer.stylize(
        large, style, network, change(config, solve={"steps": 0})
    )
    np.testing.assert_array_equal(measured.image, large)


def test_adam_goes_on_at_the_next_scale(network, pictures):
    content, style, _ = pictures
    large = np.repeat(np.repeat(content, 2, 0), 2, 1)
    counts = []

    def count(now: solve.Progress) -> None:
        counts.append(max(_counts(now.state.opt_state)))

    config = change(solve={"scales": "20", "steps": 2, "log_every": 1})
    transfer.stylize(large, style, network, config, callback=count)
    assert counts[-1] == 4


def _counts(opt_state):
    return [int(leaf) for leaf in jax.tree.leaves(opt_state) if leaf.dtype == "int32"]


def test_wrapped_pictures_have_no_seam(network, pictures):
    """A shift of the whole picture, round its borders, changes no term."""
    generator = np.random.default_rng(8)
    content = generator.random((16, 24, 3)).astype(np.float32)
    style = pictures[1]
    config = change(
        control={"wrap": "xy"},
        objective={"style_loss": EVERY_LOSS, "tv_loss": "nine_point"},
    )
    given = Pictures(content, (style,))
    rolled = Pictures(np.roll(content, (4, 8), (0, 1)), (style,))
    image = content[::-1].copy()
    one = terms(given, network, config, image)
    two = terms(rolled, network, config, np.roll(image, (4, 8), (0, 1)))
    assert float(one.tv) == pytest.approx(float(two.tv), rel=1e-5)
    for name, value in one.content.items():
        assert float(value) == pytest.approx(float(two.content[name]), rel=1e-5)
    for name, value in one.style.items():
        assert float(value) == pytest.approx(float(two.style[name]), rel=1e-4)
    loose = change(config, control={"wrap": "none"})
    assert float(terms(given, network, loose, image).tv) != pytest.approx(
        float(one.tv), rel=1e-3
    )


def test_a_fill_has_the_style_inside_it(network, pictures):
    """What is outside is neither style nor made up for within."""
    content, style, _ = pictures
    fill = halves(content.shape)[..., 0]
    image = np.where(fill[..., None] > 0, content[::-1], content)
    config = change(objective={"style_loss": EVERY_LOSS, "style_layers": ("relu1_1",)})
    filled = terms(Pictures(content, (style,), fill=fill), network, config, image)
    region = terms(
        Pictures(content, (style,), regions=fill[..., None]), network, config, image
    )
    plain = terms(Pictures(content, (style,)), network, config, image)
    for name, value in filled.style.items():
        assert float(value) == pytest.approx(float(region.style[name]), rel=1e-5)
        assert abs(float(value) / float(plain.style[name]) - 1) > 1e-3


def test_a_region_outside_the_fill_moves_nothing(network, pictures):
    content, style, _ = pictures
    regions = halves(content.shape)
    config = change(objective={"style_loss": EVERY_LOSS, "style_layers": ("relu1_1",)})
    given = Pictures(content, (style,), regions=regions, fill=regions[..., 0])
    how, problem = prepare.problem(given, network, config)
    gradient = sloped(how, problem, jnp.asarray(content[::-1].copy()))
    assert np.isfinite(gradient).all()
    assert np.abs(gradient[:, :10]).max() > 0
    assert np.abs(gradient[:, 10:]).max() == 0


def test_only_the_result_wraps_and_not_the_style(network, pictures):
    content, style = (
        np.random.default_rng(seed).random((16, 24, 3)).astype(np.float32)
        for seed in (4, 5)
    )
    given = Pictures(
        content,
        (style,),
        regions=halves(content.shape),
        style_regions=(halves(style.shape),),
    )
    flat, wrapped = (
        prepare.problem(given, network, change(control={"wrap": wrap}))[1]
        for wrap in ("none", "xy")
    )
    for name, target in flat.targets.style.items():
        np.testing.assert_array_equal(target.gram, wrapped.targets.style[name].gram)
    for name, features in flat.targets.content.items():
        assert np.abs(features - wrapped.targets.content[name]).max() > 1e-3


def seam(image):
    """How much larger neighbours' differences are across the borders than inside.

    As deviations of the differences of whole rows and columns.
    """
    found = []
    for axis in (0, 1):
        turned = np.moveaxis(image.astype(np.float64), axis, 0)
        inside = np.abs(np.diff(turned, axis=0)).mean((1, 2))
        across = np.abs(turned[0] - turned[-1]).mean()
        found.append((across - inside.mean()) / inside.std())
    return max(found)


def test_a_texture_tiles_without_a_seam(network):
    """Two by two copies: the borders between them are like any row or column."""
    rows, columns = np.mgrid[:40, :40] / 40
    waves = [np.sin(2 * np.pi * (a * rows + b * columns)) for a, b in
             ((1, 2), (2, -1), (1, 1))]  # fmt: skip
    style = (0.5 + 0.45 * np.stack(waves, -1)).astype(np.float32)
    config = change(
        inputs={"init": "noise", "noise_amplitude": 0.3},
        objective={"content_weight": 0.0, "tv_weight": 0.0, "style_weight": 100.0},
        optimizer={"optimizer": "lbfgs", "learning_rate": 0.0},
        solve={"steps": 40},
    )
    nothing = np.zeros((32, 32, 3), np.float32)
    made = {
        wrap: transfer.stylize(
            nothing, style, network, change(config, control={"wrap": wrap})
        ).image
        for wrap in ("none", "xy")
    }
    assert seam(made["xy"]) < 3
    assert seam(made["none"]) > 5


@pytest.mark.parametrize(("wrap", "shape"), [("x", (16, 18)), ("y", (18, 16))])
def test_sizes_that_cannot_tile_are_refused(network, pictures, wrap, shape):
    content = np.zeros((*shape, 3), np.float32)
    config = change(control={"wrap": wrap}, solve={"steps": 0})
    with pytest.raises(RequestError, match="multiples of") as refusal:
        transfer.stylize(content, pictures[1], network, config)
    assert "\n" not in str(refusal.value)
    turned = np.swapaxes(content, 0, 1)
    assert transfer.stylize(turned, pictures[1], network, config).steps == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objective": {"style_loss": ("gramm",)}}, "--style_loss must be of"),
        ({"objective": {"style_loss": ("gram:0",)}}, "with a weight above 0"),
        ({"control": {"style_mask": ("a.png",)}}, "--style_mask needs --content_mask"),
        ({"solve": {"scales": "512,256"}}, "--scales must be"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(RequestError, match=message):
        change(**settings)


def test_control_settings_default_to_nothing():
    assert ControlConfig() == Config().control
