"""A password hasher for tests: argon2 that costs nothing, so that a server in another process accepts its hashes too."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class FastArgon2(Argon2PasswordHasher):
    time_cost = 1
    memory_cost = 8
    parallelism = 1
