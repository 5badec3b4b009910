"""Sets the Content-Security-Policy header, with an exception for Django's admin."""

from csp.middleware import CSPMiddleware, PolicyParts
from django.http import HttpRequest
from django.http.response import HttpResponseBase

# The admin's jQuery sets innerHTML when it starts, so no widget works with Trusted Types. All other rules apply.
ADMIN = {"require-trusted-types-for": None}


class Middleware(CSPMiddleware):
    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        if request.resolver_match and request.resolver_match.app_name == "admin":
            parts.replace = {**(parts.replace or {}), **ADMIN}
        return parts
