"""`python -m nst_jax.pretrained fetch|list|verify|convert`."""

import argparse
import difflib
import sys
from pathlib import Path
from typing import NoReturn

from nst_jax.errors import RequestError
from nst_jax.pretrained import canonical, fetch, perceptual, places
from nst_jax.pretrained.convert import convert
from nst_jax.pretrained.known import INPUT_RANGES, KNOWN, LOST, Origin, look_up


class _Parser(argparse.ArgumentParser):
    """Answers a wrong command line with one line instead of the whole usage."""

    def error(self, message: str) -> NoReturn:
        raise RequestError(f"{message}; see {self.prog} --help")


def main(arguments: list[str]) -> int:
    """The exit status: 0, or 2 where the request was wrong."""
    try:
        options = _parser().parse_args(arguments)
        match options.command:
            case "fetch":
                _fetch(options.names, options.source)
            case "list":
                print("\n".join(_table()))
            case "verify":
                _verify(options.names)
            case _:
                _convert(options)
    except RequestError as error:
        _say(f"nst_jax.pretrained: {error}")
        return 2
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        "python -m nst_jax.pretrained", description=__doc__, allow_abbrev=False
    )
    commands = parser.add_subparsers(dest="command", required=True)
    names = f"of {', '.join(origin.name for origin in _origins())}"
    one = commands.add_parser("fetch", help="bring networks to this machine")
    one.add_argument("names", nargs="*", default=["vgg19-caffe"], help=names)
    one.add_argument("--source", choices=("auto", "url", "index"), default="auto")
    commands.add_parser("list", help="what is known, and where it is")
    one = commands.add_parser("verify", help="check stored files against their digest")
    one.add_argument("names", nargs="*", help=f"{names}; all that are stored if empty")
    one = commands.add_parser("convert", help="a file of any format to the canonical")
    one.add_argument("--input", required=True, type=Path, metavar="FILE")
    one.add_argument("--output", required=True, type=Path, metavar="FILE.safetensors")
    one.add_argument("--network", choices=("vgg19", "vgg16"), default="")
    unknown = "of conv1_1's input; only for a network that is not known"
    one.add_argument(
        "--channel_order", choices=("rgb", "bgr"), default="", help=unknown
    )
    one.add_argument(
        "--preprocessing", choices=tuple(INPUT_RANGES), default="", help=unknown
    )
    one.add_argument("--overwrite", action="store_true")
    return parser


def _origins() -> list[Origin]:
    """Everything that can be fetched: networks, and what measures pictures."""
    return [*(row.origin for row in KNOWN.values()), perceptual.ORIGIN]


def _fetch(names: list[str], source: fetch.Source) -> None:
    for name in map(_named, names):
        if name == perceptual.ORIGIN.name:
            path = perceptual.bring(source, _say, quiet=False)
        else:
            path = fetch.fetch(KNOWN[name], source, _say, quiet=False)
        print(f"{name}  {path}")


def _named(name: str) -> str:
    """The name, if it is that of something to be had."""
    known = [origin.name for origin in _origins()]
    if name in LOST:
        look_up(name)  # which says what is to be done
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise RequestError(
            f"weights {name!r} are not known; choose of {', '.join(known)}"
            + (f"; did you mean {near[0]}?" if near else "")
        )
    return name


def _table() -> list[str]:
    width = max(len(origin.name) for origin in _origins())
    return [
        f"{origin.name:{width}}  {_where(origin)}  {origin.licence}"
        for origin in _origins()
    ]


def _where(origin: Origin) -> str:
    path = places.find(origin.name)
    if path:
        return str(path)
    index = origin.index.package if origin.index else ""
    sources = (
        f"{fetch.megabytes(size)}: "
        + (origin.url if kind == "url" else f"the package index ({index})")
        for kind, size in fetch.sources(origin, "auto")
    )
    return f"to fetch, {' or '.join(sources)}"


def _verify(names: list[str]) -> None:
    stored = {origin.name: places.find(origin.name) for origin in _origins()}
    for name in names or [name for name, path in stored.items() if path]:
        path = stored[_named(name)]
        if path is None:
            raise RequestError(
                f"{name} is not on this machine; run python -m nst_jax.pretrained "
                f"fetch {name}"
            )
        print(f"ok  {name}  {path}  digest {_digest(name, path)}")


def _digest(name: str, path: Path) -> str:
    """The digest of a stored file that is what its name says."""
    if name == perceptual.ORIGIN.name:
        return perceptual.digest(perceptual.read(path))
    found = canonical.read(path)
    if found.name != name:
        raise RequestError(
            f"expected {name} in {str(path)!r}, found {found.name}; delete it and "
            "fetch it again"
        )
    return found.digest


def _convert(options: argparse.Namespace) -> None:
    if perceptual.is_original(options.input):
        perceptual.convert(
            options.input,
            options.input.name,
            options.output,
            overwrite=options.overwrite,
        )
        print(f"{perceptual.ORIGIN.name}  {options.output}  digest {perceptual.DIGEST}")
        return
    found = convert(
        options.input,
        options.output,
        network=options.network,
        channel_order=options.channel_order,
        preprocessing=options.preprocessing,
        overwrite=options.overwrite,
    )
    if found.name == "unknown":
        _say(
            "warning: no known network; its channel order and preprocessing are as you "
            "said, and nothing can check them"
        )
    print(f"{found.name} ({found.network})  {options.output}  digest {found.digest}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
