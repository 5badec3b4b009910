"""Figures of a recorded run: how long acks and deliveries took."""

import os
from pathlib import Path


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def acks(run, start=0.0, end=float("inf")):
    """Return the seconds from send to ack of what was first sent in this time."""
    return [one.acked - one.began for one in run.sent if one.acked and start <= one.began < end]


def deliveries(run, start=0.0, end=float("inf")):
    """Return the seconds from send to each client's screen of what was first sent in this time."""
    began = {one.client_id: one.began for one in run.sent if one.began and start <= one.began < end}
    return [
        at - began[event["client_id"]]
        for seen in run.seen
        for event, at in zip(seen.events, seen.times, strict=True)
        if event.get("client_id") in began
    ]


def settled(run):
    """Return the seconds from the last first send to the last screen that shows it."""
    return max(at for seen in run.seen for at in seen.times) - max(one.began for one in run.sent if one.began)


def in_ms(values):
    p50, p99, most = percentile(values, 0.5), percentile(values, 0.99), max(values, default=0)
    return f"p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, max {most * 1000:.0f} ms (n={len(values)})"


def report(line):
    """Print a figure, and keep it where script/soak asks for it."""
    print(line)
    if path := os.environ.get("REPORT"):
        with Path(path).open("a") as file:
            file.write(line + "\n")
