"""The program that serves the page, until a signal ends it."""

import html
import os
import platform
import shutil
import signal
import socket
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import uvicorn

from nst_jax import progress
from nst_jax.app import gate, server
from nst_jax.app.asked import AppConfig, Defaults
from nst_jax.app.studio import Studio

# How long the last step of a job may take when the program ends.
_PATIENCE = 10.0
# How often, and how many seconds apart, a folder is removed that is written into.
_TRIES, _PAUSE = 20, 0.1
_WAY_IN = """\
<!doctype html>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={0}">
<title>nst_jax</title>
<a href="{0}">To the page</a>
"""


def serve(
    listening: socket.socket, settings: AppConfig, defaults: Defaults, folder: Path
) -> None:
    """Serves the page on that socket until a signal ends it.

    Args:
        listening: is closed at the end.
        settings: the program's own.
        defaults: where every job begins.
        folder: where everything that is handed in and made lies.
    """
    port = listening.getsockname()[1]
    door = gate.door(settings.host, port)
    studio = Studio(folder, defaults)
    config = uvicorn.Config(
        gate.guarded(server.app(studio, settings), door),
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=100,
        timeout_graceful_shutdown=2,
    )
    serving = uvicorn.Server(config)

    def end(number: int) -> None:
        del number
        serving.should_exit = True

    # uvicorn has handlers of its own only while it serves, and hands signals on.
    with _on_signals(end):
        studio.open()
        address = f"http://{_shown(settings.host)}:{port}/{door.token}/"
        _greet(address, folder, opens=settings.open)
        serving.run(sockets=[listening])
    with _on_signals(lambda number: _leave(folder, 128 + number)):
        # Python must not end while JAX computes in a thread.
        if not studio.close(_PATIENCE):
            _leave(folder, 0)


def _greet(address: str, folder: Path, *, opens: bool) -> None:
    progress.say(f"the page is at {address}")
    progress.say("pictures that were not downloaded go when it ends, by Ctrl-C")
    if opens and _has_browser():
        webbrowser.open(_way_in(address, folder).as_uri())


def _way_in(address: str, folder: Path) -> Path:
    """A file that sends a browser on to the address, and only this user may read.

    The address itself would stand in the browser's arguments, which all users of the
    machine can list.
    """
    path = folder / "open.html"
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(number, "w", encoding="utf-8") as file:
        file.write(_WAY_IN.format(html.escape(address)))
    return path


def _has_browser() -> bool:
    """Whether a browser with windows may be there; one in a terminal would take it."""
    if platform.system() == "Linux":
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True


def _shown(host: str) -> str:
    """The host as an address names it."""
    if host in ("0.0.0.0", "::"):
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


@contextmanager
def _on_signals(act: Callable[[int], None]) -> Iterator[None]:
    """A block in which Ctrl-C and SIGTERM do that."""

    def handler(number: int, frame: FrameType | None) -> None:
        del frame
        act(number)

    both = (signal.SIGINT, signal.SIGTERM)
    before = [(each, signal.signal(each, handler)) for each in both]
    try:
        yield
    finally:
        for each, old in before:
            signal.signal(each, old or signal.SIG_DFL)


def _leave(folder: Path, status: int) -> None:
    """Ends the process at once, and with it whatever its threads do."""
    for _ in range(_TRIES):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            break
        time.sleep(_PAUSE)  # a thread has just written into it
    os._exit(status)
