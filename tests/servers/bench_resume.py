"""Measures how long a page waits for the first event that it missed: python -m tests.servers.bench_resume."""

import asyncio
import time

from chat.testing import SocketClient, sign_in
from tests.servers.figures import in_ms, percentile
from tests.servers.services import PASSWORD, Postgres, Server, directory

HEAD = 12_000
TIMES = 20


async def first_page(url, cookie, gap):
    """Reconnect after missing `gap` events. Return the seconds until the first event and until the last."""
    async with SocketClient(url, cookie, name="bob") as page:
        await page.until(lambda: page.is_connected)
        times = []
        page.on_frame = lambda frame: times.append(time.perf_counter()) if "seq" in frame else None
        start = time.perf_counter()
        log = await page.join(1, since=HEAD - gap)
        await page.until(lambda: log.cursor == HEAD)
    return times[0] - start, times[-1] - start


async def measure(server):
    cookie = await sign_in(server.url, "bob", PASSWORD)
    for gap in (1, 300, 10_000):
        # No other page is in the room, so each time the feed is opened anew, as in another process.
        pairs = [await first_page(server.url, cookie, gap) for _ in range(TIMES)]
        first, last = zip(*pairs, strict=True)
        print(
            f"  gap {gap}: first event {in_ms(first)}, p95 {percentile(first, 0.95) * 1000:.0f} ms; all {in_ms(last)}"
        )


def main():
    with directory("pg") as path, directory("state") as state:
        postgres = Postgres(path).start()
        try:
            for name, url in (("SQLite", ""), ("PostgreSQL", postgres.create("bench"))):
                server = Server(state, database_url=url)
                server.ask("make", 1)
                server.ask("fill", 1, HEAD)
                server.start()
                print(f"Resume on {name}:")
                asyncio.run(measure(server))
                server.close()
        finally:
            postgres.stop()


if __name__ == "__main__":
    main()
