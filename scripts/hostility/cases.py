"""What a hostile file is: its bytes, how it is given, and what may come of it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Literal, NamedTuple

import numpy as np

_GO_ON = "--resume=exact"
# As what a file is given to the program: FILE stands for its path.
ROLES: Mapping[str, tuple[str, ...]] = {
    "content": ("--content=FILE", "--style=PAINTING"),
    "style": ("--content=PHOTO", '--style="FILE"'),
    "mask": ("--content=PHOTO", "--style=PAINTING", "--content_mask=FILE"),
    "init": ("--content=PHOTO", "--style=PAINTING", "--init=FILE"),
    "from": ("--content=PHOTO", "--style=PAINTING", "--from=FILE"),
    "flagfile": ("--content=PHOTO", "--style=PAINTING", "--flagfile=FILE"),
    "weights": ("--content=PHOTO", "--style=PAINTING", "--weights=FILE"),
    "manifest": ("--manifest=FILE",),
    # Looked for in a folder.
    "checkpoint": ("--content=PHOTO", "--style=PAINTING", "--checkpoint=kept", _GO_ON),
}


Expect = Literal["refused", "read", "either"]


class Case(NamedTuple):
    """One file. `beside` are others that it refers to, by name."""

    name: str
    role: str
    data: bytes | Callable[[], bytes]
    expect: Expect = "refused"
    file: str = "file.bin"  # as what it is saved
    beside: Mapping[str, bytes] = {}

    def is_small(self) -> bool:
        """Whether the bytes are at hand, and not a bomb that is still to be made."""
        return isinstance(self.data, bytes)

    def content(self) -> bytes:
        """The file's bytes; large ones are made when they are needed."""
        return self.data if isinstance(self.data, bytes) else self.data()


def broken(
    name: str, role: str, data: bytes, cuts: int = 6, flips: int = 6, seed: int = 0
) -> Iterator[Case]:
    """The file cut off at several places, and with several bytes changed."""
    draw = np.random.default_rng(seed + len(data))
    lengths = {1, 7, *np.linspace(12, len(data) - 1, cuts - 2).astype(int).tolist()}
    for length in sorted(lengths):
        yield Case(f"{name}, {length} bytes of it", role, data[:length], "either")
    for number in range(flips):
        changed = bytearray(data)
        # Headers are at the start, and hold what is believed.
        end = min(len(data), 200) if number % 2 else len(data)
        for place in draw.integers(0, end, 1 + number // 2):
            changed[place] = draw.integers(256)
        yield Case(f"{name}, flipped {number}", role, bytes(changed), "either")
