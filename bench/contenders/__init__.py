"""The servers that are compared: each takes a listening socket and does the same work in its own way."""
