"""Converts a weights file: python scripts/convert_weights.py --input=F --output=G.

Reads MatConvNet .mat, Keras .h5, torch .pth, .npz and .safetensors; writes the
canonical .safetensors. `--help` lists the options.
"""

import sys

from nst_jax.pretrained.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["convert", *sys.argv[1:]]))
