"""Figures of a recorded run: how long acks and deliveries took, in seconds."""

import os
from pathlib import Path


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def acks(run, start=0.0, end=float("inf")):
    """Return the seconds from send to ack of the messages first sent between `start` and `end`."""
    return [sent.acked - sent.began for sent in run.sent if sent.acked and start <= sent.began < end]


def deliveries(run, start=0.0, end=float("inf")):
    """Return the seconds until each client showed the messages first sent between `start` and `end`."""
    began = {sent.client_id: sent.began for sent in run.sent if sent.began and start <= sent.began < end}
    return [
        at - began[event["client_id"]]
        for seen in run.seen
        for event, at in zip(seen.events, seen.times, strict=True)
        if event.get("client_id") in began
    ]


def settling_seconds(run):
    """Return the seconds from the moment the last message was first sent until every client showed everything."""
    return max(at for seen in run.seen for at in seen.times) - max(sent.began for sent in run.sent if sent.began)


def in_ms(values):
    p50, p99, most = percentile(values, 0.5), percentile(values, 0.99), max(values, default=0)
    return f"p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, max {most * 1000:.0f} ms (n={len(values)})"


def report(line):
    """Print a figure, and append it to the file that script/soak names in REPORT."""
    print(line)
    if path := os.environ.get("REPORT"):
        with Path(path).open("a") as file:
            file.write(line + "\n")
