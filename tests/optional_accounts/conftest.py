"""Turns the optional parts on, before Django reads its settings, and runs the identity provider."""

import os
import sys

import pytest

from tests import oidc_provider

if "multichat.settings" in sys.modules:
    raise pytest.UsageError("These tests need a run of their own: pytest tests/optional_accounts")
PROVIDER, ISSUER = oidc_provider.start()
os.environ |= {
    "SECOND_FACTOR": "on",
    "OIDC_ISSUER": ISSUER,
    "OIDC_CLIENT_ID": "multichat",
    "OIDC_CLIENT_SECRET": "a secret of the tests",
    "OIDC_NAME": "Example login",
}


def pytest_collection_modifyitems(items):
    """Let the timeout count a test alone: the set-up of the first one migrates the database."""
    for item in items:
        item.add_marker(pytest.mark.timeout(60, func_only=True))


def pytest_unconfigure(config):
    oidc_provider.stop(PROVIDER)


@pytest.fixture
def issuer():
    return ISSUER
