"""script/bench: measures the parts that are named, or all of them; after all of them it writes docs/performance.md."""

import argparse
import gc
import os
import sys
import time
import traceback
from collections.abc import Awaitable, Callable

import uvloop

from bench import (
    admin_lists,
    campfire,
    connect,
    data,
    document,
    echo,
    fanout,
    growth,
    history,
    latency,
    page,
    posts,
    search,
    servers,
    storm,
)
from bench.report import Part, as_text
from bench.sizes import FULL, SMALL, Sizes

PARTS: dict[str, Callable[[Sizes], Awaitable[Part]]] = {
    "fanout": fanout.run,
    "echo": echo.run,
    "posts": posts.run,
    "latency": latency.run,
    "connect": connect.run,
    "storm": storm.run,
    "history": history.run,
    "growth": growth.run,
    "search": search.run,
    "admin": admin_lists.run,
    "page": page.run,
    "campfire": campfire.run,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    parser.add_argument("--small", action="store_true", help="use tiny sizes, to see that everything works")
    parser.add_argument("parts", nargs="*", metavar="part", help=f"one of {', '.join(PARTS)}, or data")
    if sys.argv[1:2] == ["data"]:
        data.make(float(sys.argv[2]) if len(sys.argv) > 2 else 1.0)
        return
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - PARTS.keys():
        parser.error(f"there is no part {', '.join(sorted(unknown))}; the parts are {', '.join(PARTS)}")
    os.sched_setaffinity(0, {servers.LOAD_CORE})
    # Between two parts, because a collection among thousands of sockets stops the load for a moment.
    gc.disable()
    began = time.monotonic()
    found, failed = measure(arguments.parts or list(PARTS), SMALL if arguments.small else FULL)
    if not arguments.parts and not arguments.small:
        document.write(found, seconds=time.monotonic() - began, commands=list(PARTS), failed=failed)
    if failed:
        sys.exit(f"bench: failed: {', '.join(failed)}. The reasons are above.")


def measure(names: list[str], sizes: Sizes) -> tuple[dict[str, Part], list[str]]:
    """Return the parts that were measured, and the names of those that failed. The others are measured anyway."""
    found, failed = {}, []
    for name in names:
        gc.collect()
        began = time.monotonic()
        try:
            found[name] = uvloop.run(_run(name, sizes))
        except Exception:
            traceback.print_exc()
            failed.append(name)
        else:
            print(as_text(found[name]))
            if found[name].failures:
                failed.append(name)
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
    return found, failed


async def _run(name: str, sizes: Sizes) -> Part:
    return await PARTS[name](sizes)


if __name__ == "__main__":
    main()
