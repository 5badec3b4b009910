"""The settings with which browser tests collect static files: no Brotli, which browsers take over HTTPS alone."""

from multichat.settings import *  # noqa: F403

SERVESTATIC_USE_BROTLI = False
