"""Argon2 with the lowest cost: tests hash fast, and a server in another process accepts their hashes."""

from multichat.passwords import Argon2


class FastArgon2(Argon2):
    time_cost = 1
    memory_cost = 8
    parallelism = 1
