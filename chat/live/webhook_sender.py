"""Sends the events of rooms to their webhooks, behind all other work (WebhookSender)."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from chat.conf import conf
from chat.live import database
from chat.store import webhooks
from chat.store.webhooks import Failure, Place, Taken

logger = logging.getLogger(__name__)

# Requests at the same time, each for another webhook.
THREADS = 8
# How long one webhook has its turn. With a last request, it is shorter than webhooks.TAKEN.
TURN_SECONDS = 20.0
# How long a process that stops waits for requests that are on their way.
STOP_SECONDS = 1.0


class WebhookSender:
    """One task of a server process, and one for each webhook that has its turn."""

    def __init__(self) -> None:
        self._turns: set[asyncio.Task[None]] = set()
        self._freed = asyncio.Event()
        self._is_stopping = self._is_failing = False
        self._threads = ThreadPoolExecutor(THREADS, "webhook")
        self._task = asyncio.get_running_loop().create_task(self._work_always())

    async def stop(self) -> None:
        """Stop after the requests that are on their way, if they end soon. Another process sends the rest."""
        self._is_stopping = True
        self._task.cancel()
        if self._turns:
            await asyncio.wait(self._turns, timeout=STOP_SECONDS)
        for turn in self._turns:
            turn.cancel()
        await asyncio.gather(self._task, *self._turns, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _work_always(self) -> None:
        while True:
            self._freed.clear()
            try:
                await self.begin_due()
                self._is_failing = False
            except Exception as error:
                if not self._is_failing:
                    database.warn(logger, "webhooks could not be looked for; trying again", error)
                self._is_failing = True
            if len(self._turns) < THREADS:
                await asyncio.sleep(conf.WEBHOOK_LOOK_SECONDS)
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(TURN_SECONDS):
                        await self._freed.wait()

    async def begin_due(self) -> None:
        """Give the webhooks that have something to send their turns, as far as there are threads."""
        free = THREADS - len(self._turns)
        if not free or not await database.poll(webhooks.has_due):
            return
        for taken in await database.write_behind(webhooks.take_due, free):
            turn = asyncio.get_running_loop().create_task(self._send(taken))
            self._turns.add(turn)
            turn.add_done_callback(self._on_end)

    def _on_end(self, turn: asyncio.Task[None]) -> None:
        self._turns.discard(turn)
        self._freed.set()

    async def drain(self) -> None:
        """Send all that is due, for tests."""
        while True:
            await self.begin_due()
            if not self._turns:
                return
            await asyncio.wait(self._turns)

    async def _send(self, taken: Taken) -> None:
        """Send the events of one webhook, each after the one before it was taken."""
        place: Place | None = None
        failure: Failure | None = None
        why, is_sent = "", False
        loop = asyncio.get_running_loop()
        end = loop.time() + TURN_SECONDS
        try:
            while not self._is_stopping and loop.time() < end:
                step = await database.read(webhooks.next_step, taken.pk, place)
                if step is None or step.pause:
                    why = step.pause if step is not None else ""
                    break
                if step.request is not None:
                    failure = await loop.run_in_executor(self._threads, webhooks.send, step.request)
                    if failure is not None:
                        break
                    is_sent = True
                place = step.place
                if not step.has_more:
                    break
            await database.write_behind(webhooks.finish, taken, place, is_sent=is_sent, failure=failure, why=why)
        except Exception as error:
            # What was sent and not noted is sent again, with the same ids.
            database.warn_sparingly(logger, "a webhook could not be sent; trying again in a minute", error)
