"""What is wrong with a table of jobs: all of it, in one line."""

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from nst_jax.errors import RequestError

# Characters of the line, of one reason, and of the rows that share it.
_LINE, _REASON, _ROWS = 1500, 300, 120


class Wrong(NamedTuple):
    """Faults, filled while a table is looked through; row 0 is the table itself."""

    rows: dict[str, list[int]]  # by reason

    def add(self, row: int, reason: str) -> None:
        """Notes a fault."""
        self.rows.setdefault(reason, []).append(row)

    @contextlib.contextmanager
    def row(self, number: int) -> Iterator[None]:
        """A block whose RequestError is noted as that row's."""
        try:
            yield
        except RequestError as error:
            self.add(number, str(error))

    def numbers(self) -> set[int]:
        """The rows that have a fault."""
        return {row for rows in self.rows.values() for row in rows if row}

    def check(self, name: str, count: int) -> None:
        """Raises if there is any fault: one line on all of them.

        Args:
            name: what the table is called.
            count: the rows that it has.
        """
        if not self.rows:
            return
        said: list[str] = []
        for reason, rows in self.rows.items():
            where = f"row{'s' * (len(rows) > 1)} {spans(rows)}: " if rows[0] else ""
            short = reason if len(reason) <= _REASON else f"{reason[:_REASON]} ..."
            if said and len("; ".join([*said, where, short])) > _LINE:
                break
            said.append(f"{where}{short}")
        left = len(self.rows) - len(said)
        more = [f"and {left} more reasons"] if left else []
        wrong = len(self.numbers())
        head = f"{wrong} of {count} jobs cannot be done: " if wrong else ""
        raise RequestError(f"{name}: {head}{'; '.join([*said, *more])}")


def spans(numbers: Sequence[int]) -> str:
    """The numbers, neighbours as one, cut off where they are many.

    >>> spans([2, 3, 4, 7])
    '2-4, 7'
    """
    parts = []
    pairs = enumerate(sorted({*numbers}))
    for _, group in itertools.groupby(pairs, lambda pair: pair[1] - pair[0]):
        found = [number for _, number in group]
        parts.append(f"{found[0]}-{found[-1]}" if len(found) > 1 else f"{found[0]}")
    text = ", ".join(parts)
    return text if len(text) <= _ROWS else f"{text[:_ROWS].rpartition(',')[0]}, ..."
