"""Multichat that notes when one message after the other passes each step: `trace.json` in its VAR has the medians."""

import functools
import json
import os
import runpy
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from multichat.asgi import application  # noqa: F401  sets Django up

from chat.consumers import ChatConsumer  # isort: skip
from chat.live import commands, writer  # isort: skip
from chat.store import actions  # isort: skip

# The steps of one message, from the first stamp to the last.
STEPS = ("decode and check", "hop to the database thread", "commit", "hop back", "ack and fan-out")
EVERY = 50

stamps: list[float] = []
taken: dict[str, list[float]] = {step: [] for step in STEPS}


def stamp(*, is_first: bool = False) -> None:
    if is_first:
        stamps.clear()
    stamps.append(time.perf_counter())
    if len(stamps) == len(STEPS) + 1:
        for step, begin, end in zip(STEPS, stamps, stamps[1:], strict=False):
            taken[step].append(end - begin)
        if len(taken[STEPS[0]]) % EVERY == 0:
            medians = {step: statistics.median(times) for step, times in taken.items()}
            Path(os.environ["VAR"], "trace.json").write_text(json.dumps(medians))


def before(function: Callable[..., Any], *, is_first: bool = False) -> Callable[..., Any]:
    @functools.wraps(function)
    def stamped(*arguments: Any, **named: Any) -> Any:
        stamp(is_first=is_first)
        return function(*arguments, **named)

    return stamped


def around(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def stamped(*arguments: Any, **named: Any) -> Any:
        stamp()
        result = function(*arguments, **named)
        stamp()
        return result

    return stamped


if __name__ == "__main__":
    wrapped: Any = writer.Writer
    ChatConsumer.receive = before(ChatConsumer.receive, is_first=True)  # type: ignore[method-assign]
    commands._submit = before(commands._submit)
    actions.commit = around(actions.commit)
    wrapped._answer = around(wrapped._answer)
    runpy.run_module("multichat.server", run_name="__main__", alter_sys=True)
