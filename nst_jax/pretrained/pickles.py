"""Pickles, read without running anything in them.

A pickle is a small program. It is first read as a list of instructions, of which
only those that build dictionaries, numbers and texts are allowed; then it is run by
an unpickler that knows no other names than those it is given.
"""

import io
import mmap
import pickle
import pickletools
from collections.abc import Callable, Mapping
from typing import IO, Any, cast

from nst_jax.errors import RequestError

_INSTRUCTIONS = """
PROTO GLOBAL REDUCE BUILD BINPERSID STOP MARK NONE NEWTRUE NEWFALSE
EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST APPEND APPENDS EMPTY_DICT SETITEM
SETITEMS BINPUT LONG_BINPUT BINGET LONG_BINGET BININT BININT1 BININT2 LONG1 BINFLOAT
BINUNICODE SHORT_BINSTRING BINSTRING SHORT_BINBYTES BINBYTES
"""


class _Unpickler(pickle.Unpickler):
    """Builds what the names it is given build, and nothing else."""

    def __init__(
        self,
        stream: Any,
        names: Mapping[str, Any],
        persistent: Callable[[Any], Any] | None,
    ) -> None:
        super().__init__(stream)
        self._names, self._persistent = names, persistent

    def find_class(self, module: str, name: str) -> Any:
        return self._names[f"{module} {name}"]

    def persistent_load(self, pid: Any) -> Any:
        if self._persistent is None:
            raise RequestError("expected arrays, found a reference to another file")
        return self._persistent(pid)


def load(
    stream: io.BytesIO | mmap.mmap,
    names: Mapping[str, Any],
    persistent: Callable[[Any], Any] | None = None,
) -> Any:
    """The next pickle of the stream.

    Args:
        stream: one that never allots memory for bytes that it has not.
        names: what "module name" stands for. Made anew for each pickle: it could set
            attributes.
        persistent: what a reference to something outside stands for.

    Raises:
        RequestError: it names or does something else; nothing of it was carried out.
    """
    start, known = stream.tell(), _INSTRUCTIONS.split()
    program = pickletools.genops(cast(IO[bytes], stream))
    for count, (opcode, argument, _) in enumerate(program):
        if opcode.name not in known or (
            opcode.name == "GLOBAL" and argument not in names
        ):
            what = argument if opcode.name == "GLOBAL" else opcode.name
            raise RequestError(
                f"expected a dictionary of arrays, found the instruction "
                f"{str(what)[:80]!r}; a file may not bring code with it: save the "
                "network's numbers alone, as its state_dict()"
            )
        # Memory for the memo is allotted up to the largest index named.
        if opcode.name == "LONG_BINPUT" and (argument or 0) > count:
            raise RequestError("expected a pickle, found one with a lying memo")
    stream.seek(start)
    return _Unpickler(stream, names, persistent).load()
