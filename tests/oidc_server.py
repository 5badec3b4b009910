"""The process of tests/oidc_provider.py: oidc-provider-mock, made strict about PKCE. It prints its port, then serves.

It has discovery, signs its id_tokens (RS256), and lets a test sign in as any subject.
"""

import sys

import oidc_provider_mock
from authlib.oauth2.rfc6749 import InvalidRequestError
from authlib.oauth2.rfc7636 import CodeChallenge
from oidc_provider_mock import _app

_challenges: dict[str, str] = {}


class Grant(_app.AuthorizationCodeGrant):  # type: ignore[misc]  # it ships no types
    """Demands PKCE, which oidc-provider-mock ignores."""

    def __init__(self, *args):
        super().__init__(*args)
        CodeChallenge(required=True)(self)

    def save_authorization_code(self, code, request):
        if request.data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("PKCE is required")
        super().save_authorization_code(code, request)
        _challenges[code] = request.data["code_challenge"]

    def query_authorization_code(self, code, client):
        found = super().query_authorization_code(code, client)
        if found:
            object.__setattr__(found, "code_challenge", _challenges[code])
            object.__setattr__(found, "code_challenge_method", "S256")
        return found


if __name__ == "__main__":
    _app.AuthorizationCodeGrant = Grant
    with oidc_provider_mock.run_server_in_thread() as server:
        print(server.server_port, flush=True)
        sys.stdin.read()  # until the tests end
