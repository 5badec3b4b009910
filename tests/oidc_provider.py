"""An OpenID Connect provider on loopback, for tests, in a process of its own."""

import subprocess
import sys
from urllib.parse import urlsplit

import requests


def start():
    """Start the provider, and return its process and its issuer. It ends when its stdin is closed."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.oidc_server"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    return process, f"http://localhost:{process.stdout.readline().strip()}"


def stop(process):
    process.stdin.close()
    process.wait(10)
    process.stdout.close()


def set_claims(issuer, subject, **claims):
    """Let the provider say this about a user from now on."""
    requests.put(f"{issuer}/users/{subject}", json=claims, timeout=10).raise_for_status()


def choose(link, subject):
    """Sign in at the provider as `subject`, and return the address to which it sends the browser back."""
    answer = requests.post(link, data={"sub": subject}, timeout=10, allow_redirects=False)
    assert answer.status_code == 302, answer.text
    parts = urlsplit(answer.headers["Location"])
    return f"{parts.path}?{parts.query}"
