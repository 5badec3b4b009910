"""The page: what a message costs its main thread, and how soon it is there. Chromium shares the load program's core.

These figures have no target. Main-thread time is what Chromium reports as the duration of its tasks.
"""

import asyncio
import contextlib
import shutil
import time
from typing import Any

from playwright.async_api import Page, async_playwright

from bench import servers
from bench.chatter import Chatter
from bench.load import open_sockets
from bench.pace import Pace
from bench.report import Part, Row
from bench.sizes import Sizes

ROOMS, PANES = 500, 12
# The line of a phone: 150 ms there and back, 1.6 Mbit/s down and 0.75 up.
LINE = {"offline": False, "latency": 150, "downloadThroughput": 200_000, "uploadThroughput": 94_000}
# The page's content policy forbids Playwright's own way to wait for an expression.
UNTIL = """() => new Promise((done) => {
  const timer = setInterval(() => { if (%s) { clearInterval(timer); done(); } }, 10);
})"""


async def run(sizes: Sizes) -> Part:
    table: list[Row] = [["work", "main-thread time", "until it is there"]]
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        return Part("The page", __doc__ or "", table, remarks=["Chromium is not installed, so nothing was measured."])
    with contextlib.ExitStack() as stack:
        make = servers.multichat(rooms=ROOMS)
        running = stack.enter_context(servers.started("SQLite", make, sizes.page_rooms + 1))
        # The last client is the reader at the page; each of the others posts into a room of its own.
        *writers, reader = running.dialects
        clients = await open_sockets(Chatter, writers, running.port)
        await Pace(clients[:1]).send(rate=20, seconds=1)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"]
            )
            name, value = reader.headers.partition("Cookie: ")[2].strip().split("=", 1)
            context = await browser.new_context()
            url = f"http://127.0.0.1:{running.port}"
            await context.add_cookies([{"name": name, "value": value, "url": url}])
            page = await context.new_page()
            meter = await context.new_cdp_session(page)
            await meter.send("Performance.enable")

            table.append(await _open(page, meter, f"{url}/?rooms=1", 1, "open the page with one room"))
            many = ",".join(map(str, range(1, PANES + 1)))
            table.append(await _open(page, meter, f"{url}/?rooms={many}", PANES, f"open the page with {PANES} rooms"))
            await _open(page, meter, f"{url}/?rooms=1", 1, "")
            count = sizes.page_messages
            spent = await _spent(meter, Pace(clients[:1]).send(rate=20, seconds=count / 20))
            table.append([f"a message in an open room, of {count}", f"{spent / count * 1000:.1f} ms", ""])
            spent = await _spent(meter, Pace(clients).send(rate=20, seconds=count / 20))
            share = f"{spent / (count / 20):.0%} of the time"
            table.append([f"20 messages a second in {sizes.page_rooms} of {ROOMS} rooms", share, ""])
            await meter.send("Network.enable")
            await meter.send("Network.setCacheDisabled", {"cacheDisabled": True})
            await meter.send("Network.emulateNetworkConditions", LINE)
            title = "first message with an empty cache, 150 ms and 1.6 Mbit/s"
            table.append(await _open(page, meter, f"{url}/?rooms=1", 1, title))
            await browser.close()
        for client in clients:
            client.close()
    return Part("The page", __doc__ or "", table)


async def _open(page: Page, meter: Any, url: str, panes: int, title: str) -> Row:
    """Load the page and wait until the rooms are there, and a message if there is one."""
    await page.goto("about:blank")
    before, began = await _tasks(meter), time.perf_counter()
    await page.goto(url, wait_until="commit")
    await page.evaluate(UNTIL % f"document.querySelectorAll('[role=log]').length >= {panes}")
    if panes == 1:
        await page.evaluate(UNTIL % "document.querySelector('[role=log] article')")
    took = time.perf_counter() - began
    return [title, f"{(await _tasks(meter) - before) * 1000:.0f} ms", f"{took * 1000:.0f} ms"]


async def _spent(meter: Any, work: Any) -> float:
    before = await _tasks(meter)
    await work
    await asyncio.sleep(0.5)
    return await _tasks(meter) - before


async def _tasks(meter: Any) -> float:
    metrics = (await meter.send("Performance.getMetrics"))["metrics"]
    return float(next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration"))
