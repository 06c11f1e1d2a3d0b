"""The VGG networks as tables: layer names, channels, strides, receptive fields.

Plain Python, so that a misspelt layer is answered before JAX is loaded. Names
are the paper's: `conv4_2` is the value before the ReLU, `relu4_2` after it,
`pool4` after the pooling that follows block 4. Keras says `block4_conv2` for
what is `relu4_2` here (its activations include the ReLU).
"""

import dataclasses
import difflib
import functools
import re
from typing import Literal

from nst_jax.errors import RequestError
from nst_jax.settings import entry, entry_each

Network = Literal["vgg19", "vgg16"]
Kind = Literal["conv", "relu", "pool"]

# Below this there is little for VGG to look at.
MIN_SIDE = 16

# Channels of each block (Simonyan and Zisserman, 2015, table 1) and how many
# convolutions it has: configuration E is VGG19, configuration D VGG16.
_CHANNELS = (64, 128, 256, 512, 512)
_DEPTHS: dict[Network, tuple[int, ...]] = {
    "vgg19": (2, 2, 4, 4, 4),
    "vgg16": (2, 2, 3, 3, 3),
}
_KERAS_NAME = re.compile(r"block([1-5])_(conv([1-4])|pool)")


@dataclasses.dataclass(frozen=True)
class Layer:
    """One row of a network's table.

    `stride` is how many image pixels apart its positions are, `reach` how many
    pixels beyond its own stride-sized cell a position looks, on each side.
    """

    name: str
    kind: Kind
    inputs: int
    channels: int
    stride: int
    reach: int


@functools.cache
def table(network: Network) -> tuple[Layer, ...]:
    """Every layer of a network, from the image upwards.

    >>> [layer.name for layer in table("vgg19")][:5]
    ['conv1_1', 'relu1_1', 'conv1_2', 'relu1_2', 'pool1']
    """
    rows: list[Layer] = []
    inputs, stride, reach = 3, 1, 0
    for block, (channels, depth) in enumerate(
        zip(_CHANNELS, _DEPTHS[network], strict=True), start=1
    ):
        for index in range(1, depth + 1):
            reach += stride
            for kind in ("conv", "relu"):
                name = f"{kind}{block}_{index}"
                rows.append(Layer(name, kind, inputs, channels, stride, reach))
            inputs = channels
        stride *= 2
        rows.append(Layer(f"pool{block}", "pool", channels, channels, stride, reach))
    return tuple(rows)


def canonical_name(name: str, network: Network) -> str:
    """The project's name of a layer, from its own or from Keras' spelling.

    >>> canonical_name("block4_conv2", "vgg19")
    'relu4_2'
    """
    keras = _KERAS_NAME.fullmatch(name)
    if keras:
        block, _, index = keras.groups()
        return canonical_name(
            f"relu{block}_{index}" if index else f"pool{block}", network
        )
    known = [layer.name for layer in table(network)]
    if name in known:
        return name
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise RequestError(
        f"layer {name!r} is not in {network}; its layers are conv1_1, relu1_1 ... "
        f"{known[-2]}, {known[-1]}{hint}"
    )


def weighted(
    entries: tuple[str, ...], network: Network, flag: str = "an entry"
) -> dict[str, float]:
    """Layers of a network with their weights, from entries such as `relu4_2:0.5`.

    Args:
        entries: names, with or without a weight.
        network: whose layers they are.
        flag: what messages say the entries are of.

    >>> weighted(("relu1_1", "block2_conv1:0.5"), "vgg19")
    {'relu1_1': 1.0, 'relu2_1': 0.5}
    """
    found = weighted_each(entries, network, flag)
    # Where weights by style have no meaning `entry` refuses them.
    return dict(zip(found, (entry(text, flag)[1] for text in entries), strict=True))


def weighted_each(
    entries: tuple[str, ...], network: Network, flag: str = "an entry"
) -> dict[str, tuple[float, ...]]:
    """Layers with one weight for all styles, or one each: `relu4_2:0.5/2`.

    >>> weighted_each(("relu1_1", "relu2_1:1/0"), "vgg19")
    {'relu1_1': (1.0,), 'relu2_1': (1.0, 0.0)}
    """
    weights: dict[str, tuple[float, ...]] = {}
    for text in entries:
        spelling, each = entry_each(text, flag)
        name = canonical_name(spelling, network)
        if name in weights:
            raise RequestError(f"layer {name} is named twice, in {text!r} again")
        weights[name] = each
    return weights


def up_to(
    names: tuple[str, ...], network: Network, after: str = ""
) -> tuple[Layer, ...]:
    """The part of the table that must be computed to obtain `names`.

    What comes up to the layer called `after`, itself included, is left out.
    """
    rows = table(network)
    deepest = max((i for i, row in enumerate(rows) if row.name in names), default=-1)
    first = [row.name for row in rows].index(after) + 1 if after else 0
    return rows[first : deepest + 1]


def least_side(names: tuple[str, ...], network: Network) -> int:
    """Rows and columns a picture needs, so that each layer has a position left.

    >>> least_side(("relu1_1",), "vgg19"), least_side(("pool5",), "vgg19")
    (16, 32)
    """
    return max(MIN_SIDE, stride(names, network))


def stride(names: tuple[str, ...], network: Network) -> int:
    """How many image pixels apart the positions of the deepest layer are.

    >>> stride(("relu1_1", "relu5_1"), "vgg19")
    16
    """
    return max((1, *(layer.stride for layer in up_to(names, network))))
