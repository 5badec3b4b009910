"""Argon2 that costs nothing: tests hash fast, and a server in another process accepts what they hashed."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class FastArgon2(Argon2PasswordHasher):
    time_cost = 1
    memory_cost = 8
    parallelism = 1
