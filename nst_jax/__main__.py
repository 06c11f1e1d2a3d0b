"""`python -m nst_jax`: the same as `python -m nst_jax.run`."""

from nst_jax import run

if __name__ == "__main__":
    run.entry()
