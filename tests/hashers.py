"""Argon2 that costs nothing: tests hash fast, and a server in another process accepts what they hashed."""

from multichat.passwords import Argon2


class FastArgon2(Argon2):
    time_cost = 1
    memory_cost = 8
    parallelism = 1
