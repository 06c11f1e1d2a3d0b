"""Several jobs in one program: each ends as it would alone."""

import jax
import numpy as np
import pytest

from nst_jax import (
    Config,
    NetworkConfig,
    ObjectiveConfig,
    OptimizerConfig,
    SolveConfig,
    batch,
    transfer,
)
from nst_jax.arrays import Weights
from nst_jax.config import SpreadConfig
from nst_jax.pictures import Pictures

SHAPE = (20, 24)
ADAM = OptimizerConfig(optimizer="adam", learning_rate=0.02)


@pytest.fixture
def network(small_params, unit_preprocessing):
    return Weights("vgg19", small_params, unit_preprocessing, "small", "0" * 64, "none")


def settings(optimizer=ADAM, **solve):
    goal = {"content_layers": ("relu1_1",), "style_layers": ("relu1_1",)}
    return Config(
        network=NetworkConfig(precision="float32", convolution="direct"),
        objective=ObjectiveConfig(**goal),
        optimizer=optimizer,
        solve=SolveConfig(steps=6, **solve),
    )


def members(*configs):
    draw = np.random.default_rng(0)
    return [
        batch.Member(
            Pictures(
                content=draw.random((*SHAPE, 3), np.float32),
                styles=(draw.random((22 + n, 20, 3), np.float32),),
            ),
            config,
        )
        for n, config in enumerate(configs)
    ]


def together(found, network, stopped=lambda: 0):
    how = {"pace": lambda step: 2, "sees": lambda step: None, "stopped": stopped}
    return batch.run(found, network, **how)


def alone(member, network):
    def pictures(shape):
        return member.pictures

    how = {"pace": lambda step: 2, "log_every": 0}
    *_, last = transfer.steps(pictures, [SHAPE], network, member.config, **how)
    return last


@pytest.mark.parametrize(
    ("configs", "tolerance"),
    [
        # A rate and a tolerance of each one's own; the second settles at once.
        (
            [
                settings(),
                settings(
                    OptimizerConfig(optimizer="adam", learning_rate=0.01),
                    tolerance=0.9,
                    tolerance_steps=2,
                ),
            ],
            1e-6,
        ),
        ([settings(keep="best"), settings(keep="best")], 1e-6),
        (
            [settings(OptimizerConfig(optimizer="lbfgs", line_search="none"))] * 2,
            1e-5,
        ),
    ],
    ids=("own rates", "best", "lbfgs"),
)
def test_each_ends_as_it_would_alone(configs, tolerance, network):
    found = members(*configs)
    ends = together(found, network)
    for member, end in zip(found, ends, strict=True):
        last = alone(member, network)
        assert (end.step, end.halt) == (last.step, last.halt)
        assert end.value == pytest.approx(last.value, rel=1e-5)
        np.testing.assert_allclose(end.image, last.image, atol=tolerance, rtol=0)
        np.testing.assert_allclose(end.terms.total, last.terms.total, rtol=1e-5)
    if configs[1].solve.tolerance:
        assert [end.step for end in ends] == [6, 4]


def test_one_with_a_fault_leaves_the_others_alone(network):
    wild = OptimizerConfig(optimizer="sgd", learning_rate=1e8, box="none")
    calm = OptimizerConfig(optimizer="sgd", learning_rate=1e-6, box="none")
    found = members(settings(calm), settings(wild))
    end, fault = together(found, network)
    assert fault is None
    np.testing.assert_allclose(end.image, alone(found[0], network).image, atol=1e-6)
    assert end.step == 6


def test_a_signal_ends_all_where_they_are(network):
    calls = iter([0, 0, 2, 2])
    found = members(settings(), settings())
    ends = together(found, network, stopped=lambda: next(calls))
    assert [end.step for end in ends] == [4, 4]


def test_what_differs_is_done_alone(network):
    other = settings()
    other = Config(
        network=other.network,
        objective=ObjectiveConfig(
            content_layers=("relu1_1",), style_layers=("relu1_2",)
        ),
        optimizer=ADAM,
        solve=other.solve,
    )
    assert together(members(settings(), other), network) == [None, None]


def test_searches_and_what_is_spread_are_not_taken_together():
    assert batch.can_join(settings())
    assert batch.can_join(
        settings(OptimizerConfig(optimizer="lbfgs", line_search="none"))
    )
    assert not batch.can_join(settings(OptimizerConfig(optimizer="lbfgs")))
    assert not batch.can_join(settings(max_seconds=3.0))
    assert not batch.can_join(Config(optimizer=ADAM, spread=SpreadConfig(devices="2")))


def test_a_batch_is_as_large_as_memory_allows(monkeypatch):
    config = settings()
    many = batch.most(SHAPE, [SHAPE], config)
    assert many > 100
    tight = batch.memory.need(SHAPE, [SHAPE], config, batch.prepare.forward(config))
    each = tight.features + tight.optimizer + tight.pictures
    monkeypatch.setattr(
        batch.memory, "limit", lambda config: tight.program + tight.network + 3 * each
    )
    assert batch.most(SHAPE, [SHAPE], config) == 3
    assert batch.usual(jax.devices("cpu")[0], SHAPE) == 1
