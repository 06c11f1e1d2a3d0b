"""Pickles, read without running anything in them.

A pickle is a small program for a machine with a stack. Here is such a machine, which
knows only the instructions that build dictionaries, numbers and texts, calls nothing
but what it is given, and sets no attributes. Python's own would also hash whatever a
file gives as a key, and a tuple of tuples of tuples may take it for ever.
"""

import io
import mmap
import pickletools
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, NoReturn, cast

from nst_jax.errors import RequestError

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_VALUES = (
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE"),
    *("SHORT_BINSTRING", "BINSTRING", "SHORT_BINBYTES", "BINBYTES"),
)
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
# A network's names and numbers take a few thousand instructions.
_MOST = 1_000_000


class Held:
    """What a name would build: its arguments, and the state that is set afterwards."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = None


def load(
    stream: io.BytesIO | mmap.mmap,
    names: Mapping[str, Any],
    persistent: Callable[[Any], Any] | None = None,
) -> Any:
    """The next pickle of the stream.

    Args:
        stream: one that never allots memory for bytes that it has not.
        names: what "module name" stands for; what can be called there, may be.
        persistent: what a reference to something outside stands for.

    Raises:
        RequestError: it names or does something else; nothing of it was carried out.
        Exception: nearly any, where it is damaged.
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}
    program: Iterator[tuple[Any, Any, Any]]
    program = pickletools.genops(cast(IO[bytes], stream))
    for count, (opcode, argument, _) in enumerate(program):
        if count > _MOST:
            raise RequestError(f"expected at most {_MOST} instructions, found more")
        match opcode.name:
            case "STOP":
                return stack.pop()
            case "MARK":
                marks.append(len(stack))
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "GLOBAL":
                stack.append(_named(argument, names))
            case "BINPERSID":
                stack.append(_outside(stack.pop(), persistent))
            case "REDUCE":
                arguments = stack.pop()
                stack.append(_called(stack.pop(), arguments))
            case "TUPLE" | "APPENDS" | "SETITEMS":
                start = marks.pop()
                items = stack[start:]
                del stack[start:]
                _collect(opcode.name, stack, items)
            case name:
                _do(name, argument, stack)
    raise AssertionError("genops ends with STOP or raises")


def _do(name: str, argument: Any, stack: list[Any]) -> None:
    """An instruction that needs neither the marks nor the memo."""
    match name:
        case "PROTO":
            pass
        case "EMPTY_LIST":
            stack.append([])
        case "EMPTY_DICT":
            stack.append({})
        case "APPEND":
            _collect("APPENDS", stack, [stack.pop()])
        case "SETITEM":
            value, key = stack.pop(), stack.pop()
            _collect("SETITEMS", stack, [key, value])
        case "BUILD":
            state = stack.pop()
            if isinstance(stack[-1], Held):  # of other things, numbers are enough
                stack[-1].state = state
        case _ if name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        case _ if name in _VALUES:
            stack.append(argument)
        case _ if name in _TUPLES:
            items = stack[-_TUPLES[name] :]
            del stack[-_TUPLES[name] :]
            stack.append(tuple(items))
        case _:
            _refuse(name)


def _collect(name: str, stack: list[Any], items: list[Any]) -> None:
    """Items to a new tuple, or to the list or dictionary on top of the stack."""
    if name == "TUPLE":
        stack.append(tuple(items))
    elif name == "APPENDS":
        stack[-1].extend(items)
    else:
        stack[-1].update(paired(zip(items[::2], items[1::2], strict=True)))


def paired(pairs: Any) -> dict[Any, Any]:
    """A dictionary of pairs whose keys are texts, or numbers as a counter gives."""
    found = {}
    for key, value in pairs:
        # Large ones can be chosen so that they all have the same hash.
        is_number = type(key) is int and abs(key) < 2**31
        if not is_number and type(key) is not str:
            raise RequestError(
                f"expected names of arrays, found a {type(key).__name__} for a name; "
                "the file is damaged"
            )
        found[key] = value
    return found


def _named(name: str, names: Mapping[str, Any]) -> Any:
    if name not in names:
        _refuse(name)
    return names[name]


def _outside(reference: Any, persistent: Callable[[Any], Any] | None) -> Any:
    if persistent is None:
        raise RequestError("expected arrays, found a reference to another file")
    return persistent(reference)


def _called(function: Any, arguments: Any) -> Any:
    # Only what `names` holds can be called: everything else here is plain data.
    return function(*arguments)


def _refuse(what: str) -> NoReturn:
    raise RequestError(
        f"expected a dictionary of arrays, found the instruction {what[:80]!r}; a file "
        "may not bring code with it: save the network's numbers alone, as its "
        "state_dict()"
    )
