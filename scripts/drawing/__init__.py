"""The two pictures in examples/, drawn from nothing but numbers and a seed."""
