"""`python -m nst_jax.benchmark`."""

from nst_jax import start
from nst_jax.benchmark import program

if __name__ == "__main__":
    start.enter(program.main)
