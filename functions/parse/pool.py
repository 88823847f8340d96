"""
Workers that parse in processes of their own, so that no mail can take the host down.

A worker that hangs is killed, one that dies is noticed, and either is replaced; the caller is told.
"""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass, field

from .frames import limit
from .lane import Lane, Overtaken, WorkerLost
from .nursery import NoWorker, Nursery
from .settings import WorkerSettings

# How many requests are on their way to one worker: the one it works on, and what it finds when that is
# done. More would only wait behind a mail that takes long while another worker comes free.
LANE_MAX_COUNT = 3

__all__ = ["Pool", "WorkerLost"]


@dataclass
class _Place:
    """Where one worker stands; None until it is needed, and after it was lost."""

    lane: Lane | None = None
    count: int = 0  # requests on their way
    making: threading.Lock = field(default_factory=threading.Lock)


class Pool:
    """
    A fixed number of workers, forked before the first mail.

    Args:
        settings: What each worker is told.
        worker_count: How many mails are parsed at once.
        wall_limit_s: How long one request may take before its worker is killed.
    """

    def __init__(self, settings: WorkerSettings, *, worker_count: int, wall_limit_s: float) -> None:
        self._settings = settings
        self._wall_limit_s = wall_limit_s
        self._nursery = Nursery(settings)
        self._places = [_Place() for _ in range(worker_count)]
        self._given_back = threading.Condition()  # around every place's count
        self.replaced_count = 0

    def start(self) -> None:
        """Fork the workers."""
        for place in self._places:
            self._lane_of(place)

    def stop(self) -> None:
        """End the workers."""
        self._nursery.stop()

    def worker_pids(self) -> list[int]:
        """Return the pids of the workers there are now."""
        return [place.lane.pid for place in self._places if place.lane is not None]

    def work(self, request: bytes) -> tuple[bytes, bytes]:
        """
        Return the frame that a worker answers, waiting for a free one.

        Raises:
            WorkerLost: The worker died over it or took too long, and is replaced.
        """
        while True:
            place = self._take()
            try:
                lane = self._lane_of(place)
                try:
                    return lane.ask(request)
                except (WorkerLost, Overtaken):
                    self._discard(place, lane)
                    raise
            except Overtaken:
                continue
            finally:
                self._give_back(place)

    def _take(self) -> _Place:
        """Return the place with the fewest requests on their way, waiting until one takes another."""
        with self._given_back:
            while True:
                place = min(self._places, key=lambda each: each.count)
                if place.count < LANE_MAX_COUNT:
                    place.count += 1
                    return place
                self._given_back.wait()

    def _give_back(self, place: _Place) -> None:
        with self._given_back:
            place.count -= 1
            self._given_back.notify()

    def _lane_of(self, place: _Place) -> Lane:
        lane = place.lane
        if lane is not None:
            return lane
        with place.making:
            if place.lane is None:
                place.lane = self._new_lane()
            return place.lane

    def _new_lane(self) -> Lane:
        ours, theirs = socket.socketpair()
        limit(ours, self._wall_limit_s)
        try:
            pid = self._nursery.new_worker(theirs)
        except NoWorker as error:
            ours.close()
            raise WorkerLost("no worker could be started") from error
        finally:
            theirs.close()
        return Lane(pid, ours, cpu_limit_s=self._settings.cpu_limit_s)

    def _discard(self, place: _Place, lane: Lane) -> None:
        """End a lost worker, once; the next who comes to its place has another made."""
        with place.making:
            if place.lane is not lane:
                return
            place.lane = None
            self.replaced_count += 1
        self._nursery.end_worker(lane.pid)
