"""The layer tables, their names, and what is said to a misspelt one."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_jax import layers, vgg
from nst_jax.errors import RequestError
from tests import oracles


@pytest.mark.parametrize("network", ["vgg19", "vgg16"])
def test_names_and_channels_are_the_papers(network):
    found = [(row.name, row.channels) for row in layers.table(network)]
    assert found == oracles.network_layers(network)


@pytest.mark.parametrize("network", ["vgg19", "vgg16"])
def test_each_layer_reads_the_one_before(network):
    rows = layers.table(network)
    assert rows[0].inputs == 3
    for below, row in itertools.pairwise(rows):
        if row.kind != "relu":
            assert row.inputs == below.channels


@pytest.mark.parametrize(
    ("network", "name", "stride", "field"),
    [
        ("vgg19", "conv1_1", 1, 3),
        ("vgg19", "pool1", 2, 6),
        ("vgg19", "relu2_1", 2, 10),
        ("vgg19", "relu3_1", 4, 24),
        ("vgg19", "relu4_1", 8, 68),
        ("vgg19", "relu5_1", 16, 156),
        ("vgg19", "conv5_4", 16, 252),
        ("vgg19", "pool5", 32, 268),
        ("vgg16", "relu4_3", 8, 92),
        ("vgg16", "conv5_3", 16, 196),
        ("vgg16", "pool5", 32, 212),
    ],
)
def test_stride_and_receptive_field_as_published(network, name, stride, field):
    row = next(row for row in layers.table(network) if row.name == name)
    assert row.stride == stride
    assert row.stride + 2 * row.reach == field


@pytest.mark.parametrize("name", ["conv1_2", "pool1", "conv2_2", "conv3_1"])
def test_a_position_sees_its_cell_and_its_reach_and_no_more(
    small_params, unit_preprocessing, name
):
    row = next(row for row in layers.table("vgg19") if row.name == name)
    # Averages and no ReLU at work, so that every path carries a gradient.
    positive = jax.tree.map(jnp.abs, small_params)
    how = vgg.Forward(pooling="avg")
    image = jnp.ones((40, 40, 3))
    place = 20 // row.stride

    def one_position(image):
        found = vgg.features(positive, unit_preprocessing, image, (name,), how)
        return jnp.sum(found[name][place, place])

    seen = np.abs(jax.jit(jax.grad(one_position))(image)).sum(2) > 0
    start = place * row.stride - row.reach
    end = (place + 1) * row.stride + row.reach
    expected = np.zeros((40, 40), bool)
    expected[start:end, start:end] = True
    np.testing.assert_array_equal(seen, expected)


@pytest.mark.parametrize(
    ("name", "network", "canonical"),
    [
        ("block4_conv2", "vgg19", "relu4_2"),
        ("block5_conv4", "vgg19", "relu5_4"),
        ("block1_pool", "vgg19", "pool1"),
        ("block5_pool", "vgg16", "pool5"),
        ("conv4_2", "vgg19", "conv4_2"),
        ("relu5_3", "vgg16", "relu5_3"),
    ],
)
def test_canonical_names(name, network, canonical):
    assert layers.canonical_name(name, network) == canonical


@pytest.mark.parametrize(
    ("name", "network", "hint"),
    [
        ("relu4_22", "vgg19", "did you mean relu4_2?"),
        ("Relu4_2", "vgg19", "did you mean relu4_2?"),
        ("relu3_4", "vgg16", "is not in vgg16"),
        ("block3_conv4", "vgg16", "is not in vgg16"),
        ("block1_conv3", "vgg19", "is not in vgg19"),
        ("block6_conv1", "vgg19", "is not in vgg19"),
        ("", "vgg19", "is not in vgg19"),
    ],
)
def test_an_unknown_layer_is_answered_with_a_near_one(name, network, hint):
    with pytest.raises(RequestError) as error:
        layers.canonical_name(name, network)
    assert hint in str(error.value)


def test_weights_of_layers():
    found = layers.weighted(
        ("relu1_1", "relu2_1:0.5", "conv4_2:0", "pool1:1e3"), "vgg19"
    )
    assert found == {"relu1_1": 1.0, "relu2_1": 0.5, "conv4_2": 0.0, "pool1": 1000.0}


def test_weights_of_layers_for_each_style():
    found = layers.weighted_each(("relu1_1", "block2_conv1:0.5/0", "pool1:2"), "vgg19")
    assert found == {"relu1_1": (1.0,), "relu2_1": (0.5, 0.0), "pool1": (2.0,)}


@pytest.mark.parametrize("text", ["1/", "/1", "1//2", "/", "1/x", "1/-1", "1/inf"])
def test_bad_weights_of_layers_for_each_style(text):
    with pytest.raises(RequestError, match="NAME:WEIGHT") as error:
        layers.weighted_each((f"relu1_1:{text}",), "vgg19")
    assert f"relu1_1:{text}" in str(error.value)


def test_where_one_weight_has_a_meaning_several_are_refused():
    with pytest.raises(RequestError, match="one weight, got 'relu1_1:1/1' with 2"):
        layers.weighted(("relu1_1:1/1",), "vgg19")


@pytest.mark.parametrize(
    "entries",
    [
        ("relu1_1:",),
        ("relu1_1:x",),
        ("relu1_1:-1",),
        ("relu1_1:nan",),
        ("relu1_1:inf",),
        (":1",),
        ("",),
        ("relu1_1:1:2",),
        ("relu1_1", "relu1_1:2"),
    ],
)
def test_bad_weights_of_layers(entries):
    with pytest.raises(RequestError, match=r"NAME:WEIGHT|named twice"):
        layers.weighted(entries, "vgg19")


@settings(deadline=None, max_examples=25)
@given(st.text(max_size=12))
@pytest.mark.parametrize("repeat", [1, 2])
def test_whatever_the_name_the_answer_is_one_line(repeat, text):
    entries = ("\n" + text,) * repeat
    with pytest.raises(RequestError) as error:
        layers.weighted(entries, "vgg19")
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("names", "last"),
    [(("relu1_1",), "relu1_1"), (("relu3_1", "conv2_2"), "relu3_1"), ((), None)],
)
def test_the_table_up_to_the_deepest_layer(names, last):
    rows = layers.up_to(names, "vgg19")
    assert (rows[-1].name if rows else None) == last
    assert rows == layers.table("vgg19")[: len(rows)]
