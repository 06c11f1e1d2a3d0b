"""`python -m nst_jax.show`."""

from nst_jax import show, start

if __name__ == "__main__":
    start.enter(show.main)
