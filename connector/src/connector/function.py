"""One function as the connector calls it: single calls when idle, batches under load, away or there."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field

import aiohttp
from mailchute import wire
from mailchute.errors import TransientError
from mailchute.eventlog import event_log
from mailchute.function import NOT_NOW

from connector.answer import AWAY, means_away
from connector.batch import AnswerStream, FunctionAnswer, Malformed, body_of, seconds_of

BATCH_MAX = 64  # values in one call
BATCH_MAX_OCTETS = 4 * 1024 * 1024
YOUNG_CALLS = 2  # calls that may be young at once; what comes meanwhile rides the next one together
YOUNG_S = 0.05  # after this a call is only waiting: it holds up nobody
PAUSE_MIN_S, PAUSE_MAX_S = 0.1, 5.0  # how long nothing is pulled for a function that is away
HOLD_S = 20.0  # what is in hand waits this long for the function to be back
CONNECT_S = 2.0
REFUSALS_MAX = 8  # 503s in a row, in the function's own words

log = event_log("connector")


class FunctionAway(TransientError):
    """The function did not take the call: refused, silent, full or not deployed."""


class FunctionBroke(TransientError):
    """The function went down with this value in its hands, and no other."""


@dataclass(slots=True)
class _Value:
    body: bytes
    answer: asyncio.Future[FunctionAnswer] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    is_single: bool = False


class Function:
    """
    Calls one function.

    Args:
        timeout_s: Silence of this length means that it is away.
    """

    def __init__(
        self, session: aiohttp.ClientSession, name: str, url: str, *, token: str, timeout_s: float
    ) -> None:
        self.name = name
        self.is_there = asyncio.Event()  # a gate: nothing is pulled for it while it is not set
        self.is_there.set()
        self.call_count = self.value_count = 0
        self._session, self._url = session, url
        authorization = {"Authorization": f"Bearer {token}"}
        self._single = {**authorization, "Content-Type": wire.MSGPACK}
        self._batch = {**authorization, "Content-Type": wire.BATCH}
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=timeout_s)
        self._queue: deque[_Value] = deque()
        self._young_count = self._open_count = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._alone = asyncio.Lock()
        self._pause_s = PAUSE_MIN_S
        self._refusals_in_a_row = 0
        self._calls: set[asyncio.Task[None]] = set()

    @property
    def waiting_count(self) -> int:
        return len(self._queue) + self._open_count

    async def call(self, body: bytes, *, alone: bool = False, hold_s: float = HOLD_S) -> FunctionAnswer:
        """
        Return what the function makes of `body` (MessagePack); waits a while for one that is away.

        Args:
            hold_s: How long to wait for one that is away.
            alone: With no other call beside it, so that it is known who brought the function down.

        Raises:
            FunctionAway: It stayed away.
            FunctionBroke: It went down over this value.
        """
        until = time.monotonic() + hold_s
        while True:
            if not self.is_there.is_set():
                await self._wait(until - time.monotonic())
            try:
                return await (self._call_alone(body) if alone else self._call(_Value(body)))
            except FunctionAway:
                if time.monotonic() > until:
                    raise

    async def _wait(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self.is_there.wait()
        except TimeoutError as error:
            raise FunctionAway(self.name) from error

    async def _call(self, value: _Value) -> FunctionAnswer:
        self._queue.append(value)
        self._pump()
        return await value.answer

    async def _call_alone(self, body: bytes) -> FunctionAnswer:
        async with self._alone:  # holds back the pump
            await self._idle.wait()
            value = _Value(body, is_single=True)
            self._opened()
            await self._send([value])
            answer = await value.answer
        self._pump()
        return answer

    def _pump(self) -> None:
        """Send what is queued, while fewer than YOUNG_CALLS calls are young."""
        while self._queue and self._young_count < YOUNG_CALLS and not self._alone.locked():
            values = [self._queue.popleft()]
            if values[0].answer.done():
                continue  # its caller has gone
            octets = len(values[0].body)
            while (
                not values[0].is_single
                and self._queue
                and not self._queue[0].is_single
                and len(values) < BATCH_MAX
                and octets + len(self._queue[0].body) <= BATCH_MAX_OCTETS
            ):
                octets += len(self._queue[0].body)
                values.append(self._queue.popleft())
            self._opened()
            task = asyncio.ensure_future(self._send(values))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)

    def _opened(self) -> None:
        self._young_count += 1
        self._open_count += 1
        self._idle.clear()

    async def _send(self, values: list[_Value]) -> None:
        has_aged = False

        def age() -> None:
            nonlocal has_aged
            if not has_aged:
                has_aged = True
                self._young_count -= 1
            self._pump()

        timer = asyncio.get_running_loop().call_later(YOUNG_S, age)
        try:
            await self._post(values)
        finally:
            timer.cancel()
            self._open_count -= 1
            if not self._open_count:
                self._idle.set()
            age()

    async def _post(self, values: list[_Value]) -> None:
        self.call_count += 1
        self.value_count += len(values)
        try:
            if len(values) == 1:
                await self._post_single(values[0])
            else:
                await self._post_batch(values)
        except (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError, TimeoutError) as error:
            self._left(values, type(error).__name__)
        except (aiohttp.ClientError, OSError, Malformed) as error:
            self._broke(values, type(error).__name__)

    async def _post_single(self, value: _Value) -> None:
        async with self._session.post(
            self._url, data=value.body, headers=self._single, timeout=self._timeout
        ) as response:
            body = await response.read()
            self._said(
                value, FunctionAnswer(response.status, body, seconds_of(response.headers.get("Retry-After")))
            )

    async def _post_batch(self, values: list[_Value]) -> None:
        missing = dict(enumerate(values))
        async with self._session.post(
            self._url,
            data=body_of([value.body for value in values]),
            headers=self._batch,
            timeout=self._timeout,
        ) as response:
            if response.status in AWAY:
                self._left(values, str(response.status))
                return
            if response.status == 200:
                answers = AnswerStream()
                async for piece in response.content.iter_any():
                    for index, answer in answers.feed(piece):
                        if value := missing.pop(index, None):
                            self._said(value, answer)
        self._broke(list(missing.values()), f"{response.status}, {len(missing)} unanswered")

    def _said(self, value: _Value, answer: FunctionAnswer) -> None:
        """
        Sort an answer: the function's own, or a sign that it is away.

        What it says of one value counts as that, until nothing else is heard: then it is as good as away.
        """
        if means_away(answer):
            self._left([value], str(answer.status))
            return
        if answer.status == NOT_NOW:
            self._refusals_in_a_row += 1
        else:
            self._refusals_in_a_row, self._pause_s = 0, PAUSE_MIN_S
        if self._refusals_in_a_row > REFUSALS_MAX:
            self._left([value], f"{NOT_NOW} to {self._refusals_in_a_row} in a row")
        elif not value.answer.done():
            value.answer.set_result(answer)

    def _left(self, values: list[_Value], reason: str) -> None:
        """Nobody pulls for it until a pause is over."""
        for value in values:
            if not value.answer.done():
                value.answer.set_exception(FunctionAway(f"{self.name}: {reason}"))
        if self.is_there.is_set():
            self.is_there.clear()
            log.warning("function-away", stage=self.name, reason=reason, duration_s=self._pause_s)
            asyncio.get_running_loop().call_later(self._pause_s, self.is_there.set)
            self._pause_s = min(2 * self._pause_s, PAUSE_MAX_S)

    def _broke(self, values: list[_Value], reason: str) -> None:
        """A call ended in the middle: a batch is called again as singles, a single is told so."""
        for value in values:
            if (value.is_single or len(values) == 1) and not value.answer.done():
                value.answer.set_exception(FunctionBroke(f"{self.name}: {reason}"))
            else:
                value.is_single = True
                self._queue.appendleft(value)
        if values:
            log.warning("call-broke", stage=self.name, reason=reason, count=len(values))
