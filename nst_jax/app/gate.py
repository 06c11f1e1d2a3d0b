"""Who is let in: the right host, the right token, no other site's page.

A page elsewhere can make a browser talk to this machine, under this address or, by
changing what its own name stands for, under its name. So the name that the browser
believes to talk to must be one of ours, every change must come from our own page, and
every address holds a token that only the printed one has.
"""

import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        "img-src 'self' blob:; connect-src 'self'; form-action 'none'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_LOST = "Open the whole address that the program printed when it started.\n"


class Door(NamedTuple):
    """What is let in."""

    token: str
    names: frozenset[str]  # of this machine, as an address may call it
    port: int


def door(host: str, port: int) -> Door:
    """A door with a new token for a program that listens there."""
    names = {"localhost", "127.0.0.1", "::1", host.lower()}
    if host not in ("127.0.0.1", "localhost", "::1"):
        names.add(socket.gethostname().lower())
    return Door(secrets.token_urlsafe(24), frozenset(names), port)


def guarded(app: ASGIApp, door: Door) -> ASGIApp:
    """The app behind the door: it sees addresses without the token."""

    async def enter(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        send = _with_headers(send)
        if not _is_ours(headers.get("host", ""), door):
            answer = PlainTextResponse("This is not an address of this page.\n", 403)
            return await answer(scope, receive, send)
        if scope["method"] not in ("GET", "HEAD") and _is_foreign(headers):
            answer = PlainTextResponse("This came from another page.\n", 403)
            return await answer(scope, receive, send)
        first, slash, rest = scope["path"].removeprefix("/").partition("/")
        if not (slash and secrets.compare_digest(first.encode(), door.token.encode())):
            return await PlainTextResponse(_LOST, 404)(scope, receive, send)
        inner = {**scope, "path": f"/{rest}", "raw_path": f"/{rest}".encode()}
        await app(inner, receive, send)

    return enter


def _is_ours(host: str, door: Door) -> bool:
    """Whether the host that the browser believes to talk to is this program."""
    name, port = _split(host)
    if port not in (str(door.port), ""):
        return False
    return name in door.names or (_is_open(door) and _is_number(name))


def _is_open(door: Door) -> bool:
    """Whether it listens to other machines, which may know it by any number."""
    return any(
        _is_number(name) and name not in ("127.0.0.1", "::1") for name in door.names
    )


def _is_number(name: str) -> bool:
    """Whether a name is an address itself, which nobody can point elsewhere."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _split(host: str) -> tuple[str, str]:
    """Name and port of `name:port` or `[::1]:port`."""
    if host.startswith("["):
        name, _, rest = host[1:].partition("]")
        return name, rest.removeprefix(":")
    name, _, port = host.partition(":")
    return name.lower(), port


def _is_foreign(headers: Headers) -> bool:
    """Whether a request that changes something came from another site's page."""
    site = headers.get("sec-fetch-site", "same-origin")
    origin = headers.get("origin", "")
    own = headers.get("host", "")
    return site not in ("same-origin", "none") or origin not in ("", f"http://{own}")


def _with_headers(send: Callable[[Message], Awaitable[None]]) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(_HEADERS)
        await send(message)

    return sent
