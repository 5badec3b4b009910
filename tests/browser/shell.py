"""A long-lived Python beside the server, on its database: python -m tests.browser.shell, a line of JSON each way."""

import contextlib
import io
import json
import sys
import traceback

import django

django.setup()


def run(code):
    """What the code prints, and the traceback if it fails. Each piece has names of its own."""
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
