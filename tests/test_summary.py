"""The network as a table, against the network itself."""

import csv
import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax import layers, pretrained, vgg
from nst_jax.show import summary, tables


@pytest.fixture(scope="module")
def random_weights():
    return pretrained.load("vgg16", "random", quiet=True, announce=lambda line: None)


@pytest.mark.parametrize("rounding", ["floor", "ceil", "same"])
@pytest.mark.parametrize("shape", [(32, 32), (75, 53)])
def test_shapes_and_parameters_are_those_of_the_network(
    random_weights, rounding, shape
):
    forward = vgg.Forward("vgg16", pool_rounding=rounding)
    names = tuple(layer.name for layer in layers.table("vgg16"))
    found = jax.eval_shape(
        lambda image: vgg.features(
            random_weights.params, random_weights.preprocessing, image, names, forward
        ),
        jax.ShapeDtypeStruct((*shape, 3), jnp.float32),
    )
    rows = summary.rows("vgg16", shape, (), rounding)
    assert [row.layer for row in rows] == list(names)
    for row in rows:
        assert (row.height, row.width, row.channels) == found[row.layer].shape
        assert row.bytes == found[row.layer].size * 4
        arrays = random_weights.params.get(row.layer, {})
        assert row.parameters == sum(array.size for array in arrays.values())


@pytest.mark.parametrize(
    ("network", "parameters"), [("vgg19", 20_024_384), ("vgg16", 14_714_688)]
)
def test_parameters_are_the_published_number(network, parameters):
    rows = summary.rows(network, (224, 224))
    assert sum(row.parameters for row in rows) == parameters
    assert f"{parameters:,} parameters" in summary.text(rows)


@pytest.mark.parametrize("name", ["relu1_1", "conv2_2", "pool2", "relu3_1"])
def test_the_field_is_what_a_position_sees(small_params, unit_preprocessing, name):
    """The slope of one position, where no maximum chooses, reaches just so far."""
    forward = vgg.Forward(pooling="avg")

    def middle(image):
        maps = vgg.features(small_params, unit_preprocessing, image, (name,), forward)[
            name
        ]
        return jnp.abs(maps[maps.shape[0] // 2, maps.shape[1] // 2]).sum()

    image = np.random.default_rng(0).random((64, 64, 3), np.float32)
    slope = np.asarray(jax.grad(middle)(jnp.asarray(image)))
    rows, columns = np.nonzero(np.abs(slope).max(2))
    (row,) = [row for row in summary.rows("vgg19", (64, 64)) if row.layer == name]
    assert rows.max() - rows.min() + 1 == row.field
    assert columns.max() - columns.min() + 1 == row.field


def test_a_table_ends_with_the_deepest_layer_asked_for():
    rows = summary.rows("vgg19", (64, 64), ("relu2_1", "conv1_2"))
    assert rows[-1].layer == "relu2_1"
    assert sum(row.parameters for row in rows) == 1_792 + 36_928 + 73_856


def test_columns_stand_under_their_heads():
    text = tables.text(("a", "long head"), [("longer name", "1"), ("b", "")], "end")
    first, rule, one, two, again, last = text.splitlines()
    assert (len(first), len(one)) == (len(rule), len(rule))
    assert one.endswith(" 1")
    assert two == "b"
    assert (again, last) == (rule, "end")


def test_csv_reads_back_with_any_text():
    rows = [{"name": 'a,"b"', "value": 1}, {"name": "ünï", "value": 2.5}]
    read = csv.DictReader(io.StringIO(tables.in_csv(rows).decode()))
    assert [*read] == [{"name": 'a,"b"', "value": "1"}, {"name": "ünï", "value": "2.5"}]
