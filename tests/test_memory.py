"""What a job takes, whether it fits, and what is done if not."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from nst_jax import devices, footprint, memory, objective, prepare, targets, transfer
from nst_jax.arrays import Preprocessing
from nst_jax.config import (
    Config,
    ControlConfig,
    MemoryConfig,
    NetworkConfig,
    OptimizerConfig,
)
from nst_jax.errors import RequestError

ADAM = OptimizerConfig(optimizer="adam")


def config(gib=0.0, optimizer=ADAM, **settings):
    return Config(
        network=NetworkConfig(precision="float32", convolution="direct"),
        optimizer=optimizer,
        memory=MemoryConfig(memory_limit=gib, **settings),
    )


def need(side, settings):
    shape = (side, side)
    return memory.need(shape, [shape], settings, prepare.forward(settings))


def planned(side, settings):
    return memory.plan((side, side), settings, prepare.forward(settings))


def fitted(side, settings):
    shape = (side, side)
    return memory.fitted(shape, [(512, 512)], settings, prepare.forward(settings))


def as_shape(tree):
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, jnp.float32), tree)


def compiled(side, settings):
    """Bytes that the compiled step holds for a while, by XLA's own account."""
    how = prepare.recipe(settings, (side, side))
    params = {
        row.name: {
            "kernel": jnp.zeros((3, 3, row.inputs, row.channels)),
            "bias": jnp.zeros(row.channels),
        }
        for row in targets.vgg.layers.table("vgg19")
        if row.kind == "conv"
    }
    network = params, Preprocessing(jnp.ones(()), jnp.ones(3), jnp.ones(3))
    picture = jnp.zeros((side, side, 3))
    arguments = (how.forward, how.gram_division, how.statistics)

    def problem(network, picture):
        content = targets.content_targets(
            *network, picture, how.content_layers, how.forward
        )
        style = targets.style_statistics(
            *network, picture, {}, how.style_layers, *arguments
        )
        return objective.Problem(
            *network,
            targets.Targets(content, style),
            objective.weights(settings.objective, "vgg19"),
            objective.Maps({}, dict.fromkeys(how.style_layers, jnp.ones(1)), {}, None),
        )

    solver = transfer.solver(how, settings.optimizer, "last", 0.99)
    shapes = jax.eval_shape(problem, network, picture)
    state = jax.eval_shape(solver.init, picture)
    last = jax.ShapeDtypeStruct((), jnp.int32)
    done = solver.chunk.lower(as_shape(shapes), state, last).compile()
    return done.memory_analysis().temp_size_in_bytes


@pytest.mark.skipif(not devices.thrift(), reason="this jax orders by speed")
@pytest.mark.parametrize("settings", [{}, {"rematerialize": True}, {"tile": "128"}])
def test_the_features_are_those_of_the_compiled_step(settings):
    asked = config(**settings)
    found = need(384, asked).features
    # Beside the features the step holds a few images.
    images = 60 * 384**2
    assert found + images == pytest.approx(compiled(384, asked), rel=0.2)


def test_a_picture_is_whole_where_that_fits_and_in_windows_where_not():
    assert planned(512, config(8)) == ()
    tight = planned(2048, config(4))
    assert any(stage.number > 1 for stage in tight)
    for gib in (3, 4, 8):
        assert need(2048, config(gib)).total <= gib * 2**30
    assert planned(2048, config(tile="none")) == ()
    used = memory._network(config(), prepare.forward(config()))
    loose = planned(2048, config(6))
    least, more = (footprint.work(used, plan, (2048, 2048)) for plan in (loose, tight))
    assert 1 < least <= more


def test_windows_that_are_found_are_those_that_are_planned():
    """A search divides stages one by one: the same as all at once."""
    settings = dataclasses.replace(config(3), control=ControlConfig(wrap="xy"))
    found = planned(2048, settings)
    used = memory._network(settings, prepare.forward(settings))
    cuts = tuple((s.after, (s.rows.number, s.columns.number)) for s in found)
    assert found == footprint.cut(used, (2048, 2048), cuts)


def test_recomputing_the_first_layers_takes_less_than_half():
    plain, again = (
        need(1024, config(tile="none", rematerialize=rematerialize)).features
        for rematerialize in (False, True)
    )
    assert again < plain / 2


def test_the_history_is_shortened_until_it_fits():
    long = OptimizerConfig(optimizer="lbfgs", history=40)
    found = fitted(2048, config(4, long))
    assert 3 <= found.optimizer.history < 40
    one_more = dataclasses.replace(long, history=found.optimizer.history + 1)
    wider = config(4, one_more)
    fits, fails = (
        memory.need((2048, 2048), [(512, 512)], each, prepare.forward(each)).total
        for each in (found, wider)
    )
    assert fits <= 4 * 2**30 < fails
    same = config(16, long)
    assert fitted(512, same) is same


@pytest.mark.parametrize(
    ("side", "settings", "words"),
    [
        (
            1024,
            config(1.5, tile="none"),
            "1024x1024 must fit into 1.5 GiB.*--tile=auto",
        ),
        (4096, config(1), "fits with (--size=[0-9]+|more memory)"),
        (
            3072,
            config(3, OptimizerConfig(optimizer="lbfgs")),
            "--tile=auto --optimizer=adam",
        ),
    ],
)
def test_what_cannot_fit_is_refused_with_what_would(side, settings, words):
    with pytest.raises(RequestError, match=words):
        fitted(side, settings)


def test_the_largest_size_fits_and_a_larger_one_does_not():
    settings = config(2)
    shape = (512, 512), [(256, 256)], settings, prepare.forward(settings)
    size = memory.largest(*shape)
    found, beyond = (
        memory.need((side, side), *shape[1:]).total
        for side in (size, size * 103 // 100)
    )
    assert found <= 2 * 2**30 < beyond


@pytest.mark.parametrize(
    ("line", "file"),
    [("0::/a/b", "a/memory.max"), ("4:memory:/a", "memory/a/memory.limit_in_bytes")],
)
def test_a_container_limits_more_than_the_machine(tmp_path, line, file):
    own = tmp_path / "own"
    own.write_text(f"{line}\n2:cpu:/x\n")
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text("123456789\n")
    assert list(devices._container_memory(tmp_path, own)) == [123456789]
    path.write_text("max\n")
    assert list(devices._container_memory(tmp_path, own)) == []


@pytest.mark.parametrize("text", ["", "0", "-3", "1.5", "large", "٣"])
def test_a_wrong_tile_is_refused(text):
    with pytest.raises(RequestError, match="--tile must be auto, none or a number"):
        MemoryConfig(tile=text)


def test_computing_twice_needs_no_saying_with_tiles():
    with pytest.raises(RequestError, match="--rematerialize must go with"):
        MemoryConfig(tile="64", rematerialize=True)
