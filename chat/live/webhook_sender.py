"""Sends the events of rooms to their webhooks (WebhookSender)."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

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
                    database.warn(logger, "could not find out which webhooks have events to send; trying again", error)
                self._is_failing = True
            if len(self._turns) < THREADS:
                await asyncio.sleep(conf.WEBHOOK_POLL_SECONDS)
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(TURN_SECONDS):
                        await self._freed.wait()

    async def begin_due(self) -> None:
        """Give the webhooks that have something to send their turns, as far as there are threads."""
        free = THREADS - len(self._turns)
        if not free or not await database.poll(webhooks.has_due):
            return
        for taken in await self._take(free):
            turn = asyncio.get_running_loop().create_task(self._send(taken))
            self._turns.add(turn)
            turn.add_done_callback(self._on_end)

    async def _take(self, free: int) -> list[Taken]:
        taking = asyncio.ensure_future(database.write_behind(webhooks.take_due, free))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            # The write goes on. Without this, no process would send for them until their time is over.
            for taken in await taking:
                await self._finish(taken, None, is_sent=False)
            raise

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
        why, is_sent, is_error = "", False, False
        loop = asyncio.get_running_loop()
        end = loop.time() + TURN_SECONDS
        try:
            while not self._is_stopping and loop.time() < end:
                step = await database.read_aside(webhooks.next_step, taken, place)
                if step is None or step.pause:
                    why = step.pause if step is not None else ""
                    break
                if step.request is not None:
                    # Asked after the step was read, which may have waited for the database.
                    if not webhooks.has_time(taken):
                        break
                    failure = await loop.run_in_executor(self._threads, webhooks.send, step.request)
                    if failure is not None:
                        break
                    is_sent = True
                place = step.place
                if not step.has_more:
                    break
        except Exception as error:
            is_error = True
            database.warn_sparingly(logger, "a webhook could not be sent; trying again in a minute", error)
        finally:
            # Also when the turn was cancelled. Otherwise all that it sent would be sent again.
            await asyncio.shield(
                self._finish(taken, place, is_sent=is_sent, failure=failure, why=why, is_error=is_error)
            )

    async def _finish(self, taken: Taken, place: Place | None, **outcome: Any) -> None:
        try:
            await database.write_behind(webhooks.finish, taken, place, **outcome)
        except Exception as error:
            # What was sent in this turn is sent again, with the same ids.
            database.warn_sparingly(logger, "how far a webhook came was not saved; trying again in a minute", error)
