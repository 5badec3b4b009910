"""Opens the listening socket."""

import errno
import socket
import sys


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket. Exits with an explanation if the address cannot be used."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            sys.exit(
                f"Multichat: port {port} on {host} is in use. Stop the other program, or set PORT to another number."
            )
        if error.errno == errno.EACCES:
            sys.exit(f"Multichat: only root may use port {port}. Set PORT to 1024 or more.")
        sys.exit(f"Multichat: cannot listen on {host}, port {port}: {error.strerror}. Change HOST or PORT.")
