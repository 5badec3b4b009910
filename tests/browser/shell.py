"""A long-lived Python beside the server, on its database, that speaks lines of JSON: python -m tests.browser.shell."""

import contextlib
import io
import json
import sys
import traceback

import django

django.setup()


def run(code):
    """Return what the code prints, and the traceback if it fails. Each call has a namespace of its own."""
    printed, failed = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        try:
            exec(compile(code, "<shell>", "exec"), {})
        except Exception:
            failed = traceback.format_exc()
    return {"printed": printed.getvalue(), "failed": failed}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)
