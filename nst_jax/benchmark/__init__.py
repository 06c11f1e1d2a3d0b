"""Measures how fast it is: `python -m nst_jax.benchmark [FLAGS]`.

Each job runs in a process of its own, which this one only starts, so nothing that
was measured before is still warm. As in `run`, everything that can be checked is
checked first. Exit status: 0 all was measured, 2 the request was wrong, 1 something
failed or is invalid, 130 interrupted, with what was measured kept.

`program` is where it starts. Nothing is imported here: what a measured process loads
before its clock starts would not be counted.
"""
