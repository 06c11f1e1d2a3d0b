"""The oldest versions that pyproject.toml allows, as constraints for pip.

    python scripts/oldest.py > oldest.txt
    python -m pip install -e ".[test]" -c oldest.txt "pyparsing<3.3" && python -m pytest

docs/reliability.md says when the suite last passed with them.
"""

import re
import sys
import tomllib
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def main() -> int:
    """Prints one line for each package that has a lower bound."""
    project = tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    for each in (*project["dependencies"], *extras["report"], *extras["test"]):
        if found := re.match(r"([\w-]+)>=([\d.]+)", each):
            print(f"{found[1]}=={found[2]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
