"""`python -m nst_jax.app`."""

from nst_jax import app, start


def entry() -> None:
    """The console script."""
    start.enter(app.main)


if __name__ == "__main__":
    entry()
