"""A page in the browser: `python -m nst_jax.app`.

A photo and paintings go in, the picture is seen growing, and what comes out is what
`python -m nst_jax.run` gives with the settings that the page shows: the page writes a
command line, and `run.carry_out` does it. There is no second engine.

The page is HTML, a style sheet and plain JavaScript of our own, served by starlette
and uvicorn (extra `app`, seven small packages). Gradio was looked at and left: 52
packages, pandas among them, a call to its makers at each start, and an image editor
that cannot say which painting goes where. So was http.server of the standard library,
which says itself that it makes basic checks only. The page asks for news twice a
second instead of holding a connection open, of which a browser allows six for all its
tabs.

`asked` is what the program was asked for, `shelf` the files that were handed in,
`orders` what the page wants as a command line, `studio` the queue and the thread that
works it off, `jobs` what it knows of each, `device` what does the work, `pace` how long
that takes, `wording` messages for people who paint, `gate` who is let in, `server` the
addresses, `serving` the program around them.
"""

import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path

from nst_jax import flagfile, flags, progress, start
from nst_jax.app import asked
from nst_jax.errors import RequestError


def main(argv: Sequence[str]) -> int:
    """Serves the page until Ctrl-C; the exit status."""
    return start.answered(lambda: _main(argv))


def _main(argv: Sequence[str]) -> int:
    request = flags.parse(argv, read_settings=start.read_settings, program=asked.APP)
    if request.answer:
        progress.say(request.answer)
        return 0
    defaults = asked.defaults(request)
    try:
        from nst_jax.app import serving
    except ModuleNotFoundError as error:
        raise RequestError(
            f"the page needs {error.name}, which is not installed: "
            'python -m pip install "nst-jax[app]"'
        ) from None
    settings = asked.own(request)
    asked.check_device(request.config.output.device)
    with (
        bound(settings) as listening,
        # On Windows a file may still be open when the program ends.
        tempfile.TemporaryDirectory(
            prefix="nst_jax-page-", ignore_cleanup_errors=True
        ) as folder,
    ):
        serving.serve(listening, settings, defaults, Path(folder))
    return 0


def bound(settings: asked.AppConfig) -> socket.socket:
    """The socket that listens at the address asked for."""
    host, port = settings.host, settings.port
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, UnicodeError) as error:
        raise RequestError(
            f"--host={flagfile.shown(host)} --port={port} cannot be listened on "
            f"({getattr(error, 'strerror', None) or error}); "
            "choose another address or port, or --port=0 for any that is free"
        ) from None
