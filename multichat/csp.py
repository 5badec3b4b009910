"""The Content-Security-Policy header, with what Django's admin needs for itself."""

from csp.middleware import CSPMiddleware, PolicyParts
from django.http import HttpRequest
from django.http.response import HttpResponseBase

# The admin's jQuery sets innerHTML when it starts: with Trusted Types required, no widget works. All else holds.
ADMIN = {"require-trusted-types-for": None}


class Middleware(CSPMiddleware):
    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        if request.resolver_match and request.resolver_match.app_name == "admin":
            parts.replace = {**(parts.replace or {}), **ADMIN}
        return parts
