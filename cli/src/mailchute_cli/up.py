"""`mailchute up`: the whole system on one machine."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path

import click
from mailchute.errors import BadSetting, MailchuteError

from mailchute_cli import preparation, rooms
from mailchute_cli.home import Home
from mailchute_cli.logfile import LogFile
from mailchute_cli.plan import Plan, Request, plan
from mailchute_cli.program import Program
from mailchute_cli.screen import Screen
from mailchute_cli.supervisor import StartFailed, Supervisor

PATIENCE_S = 15.0  # how often it is told what a slow start still waits for
FAILED = 1
EXCEPTION = re.compile(r"[A-Za-z_.]+(Error|Exception|Unavailable): ")  # how a traceback ends


@click.command()
@click.option("--data", default="data", show_default=True, help="Directory of all that is kept.")
@click.option("--smtp", default="127.0.0.1:2525", show_default=True, help="Where mail is taken.")
@click.option("--http", default="127.0.0.1:8080", show_default=True, help="Where functions answer people.")
@click.option("--routes", type=click.Path(path_type=Path), help="Where mail goes; SIGHUP reads it again.")
@click.option("--log", type=click.Choice(["files", "terminal"]), default="files", show_default=True)
@click.pass_context
def up(context: click.Context, data: str, smtp: str, http: str, routes: Path | None, log: str) -> None:
    """Start the whole system on this machine; stop it with Ctrl-C."""
    default = click.core.ParameterSource.DEFAULT
    request = Request(
        smtp=rooms.address("--smtp", smtp),
        http=rooms.address("--http", http),
        is_smtp_explicit=context.get_parameter_source("smtp") != default,
        is_http_explicit=context.get_parameter_source("http") != default,
        routes=routes,
    )
    home = Home(Path(data))
    up = Up(home, request, screen=Screen(), is_log_shown=log == "terminal")
    context.exit(asyncio.run(up.run()))


class Up:
    """
    One run of the whole system.

    Args:
        extras: Programs beside the system's own.
        when_ready: Runs once mail can flow, and is cancelled when the end begins.
        overheard: Told what a program says, instead of its log and the screen.
    """

    def __init__(
        self,
        home: Home,
        request: Request,
        *,
        screen: Screen,
        is_log_shown: bool = False,
        extras: Sequence[Program] = (),
        when_ready: Callable[[Plan], Coroutine[None, None, None]] | None = None,
        overheard: Mapping[str, Callable[[bytes], None]] | None = None,
    ) -> None:
        self._home = home
        self._request = request
        self._screen = screen
        self._is_log_shown = is_log_shown
        self._extras = tuple(extras)
        self._when_ready = when_ready
        self._overheard = overheard or {}
        self._began = time.monotonic()
        self._logs: dict[str, LogFile] = {}
        self._stop = asyncio.Event()
        self._reread = asyncio.Event()
        self._supervisor: Supervisor | None = None
        self._telling: asyncio.Task[None] | None = None
        self._failure: Exception | None = None  # then what others say while they are killed is for the logs

    async def run(self) -> int:
        """
        Run until SIGTERM or Ctrl-C; return the exit status.

        Raises:
            BadSetting: It cannot start as asked.
        """
        self._listen_for_signals()  # first: whoever reads the first line may end it
        descriptor = self._home.lock()
        made = plan(self._home, self._request, warn=self._screen.warn)
        self._screen.say(
            f"mailchute  data in {_short(self._home.directory)}, logs in {_short(self._home.logs)}"
        )
        self._supervisor = supervisor = Supervisor(
            (*made.programs, *self._extras), screen=self._screen, heard=self._heard, inherited=(descriptor,)
        )
        working = asyncio.create_task(self._work(supervisor, made))
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                await working  # raises
            self._screen.say("stopping   no new mail is taken; what is under way ends first")
        except (StartFailed, MailchuteError, BadSetting) as error:
            self._failure = error
            supervisor.kill()  # nothing is worth waiting for: what was accepted is on disk
        finally:
            working.cancel()
            if self._telling:
                self._telling.cancel()
            await supervisor.stop()
            self._screen.say("stopped")
        if self._failure:  # last, where a person looks
            self._explain(self._failure)
            return FAILED
        return 0

    async def _work(self, supervisor: Supervisor, made: Plan) -> None:
        starting = asyncio.create_task(supervisor.start())
        self._telling = asyncio.create_task(self._tell_what_is_missing(supervisor))
        try:
            preparing = asyncio.create_task(self._prepare_database(supervisor, made.settings))
            await asyncio.wait({starting, preparing}, return_when=asyncio.FIRST_EXCEPTION)
            for task in (preparing, starting):
                if task.done():
                    task.result()
            await asyncio.gather(preparing, starting)
        finally:
            starting.cancel()
        self._announce(made)
        rest = [self._when_ready(made)] if self._when_ready else []
        await asyncio.gather(supervisor.watch(), self._reread_routes(made.settings), *rest)

    async def _prepare_database(self, supervisor: Supervisor, settings: Mapping[str, str]) -> None:
        began = time.monotonic()
        applied = await asyncio.to_thread(preparation.prepare, settings, self._request.routes)
        supervisor.reach("database")
        kind = preparation.database_url(settings).partition(":")[0]
        self._screen.works("database", kind, time.monotonic() - began)
        if applied:
            self._tell_routes(applied)

    async def _reread_routes(self, settings: Mapping[str, str]) -> None:
        while True:
            await self._reread.wait()
            self._reread.clear()
            if self._request.routes is None:
                self._screen.warn("SIGHUP: there is no --routes file to read again")
                continue
            try:
                applied = await asyncio.to_thread(preparation.apply, settings, self._request.routes)
                self._tell_routes(applied)
            except (BadSetting, MailchuteError) as error:
                self._screen.warn(f"the routes stay as they were: {error}")

    def _tell_routes(self, applied: str) -> None:
        summary, *details = applied.split("\n")
        self._screen.note("routes", summary)
        for line in filter(None, details):
            self._screen.say(f"    {line}")

    async def _tell_what_is_missing(self, supervisor: Supervisor) -> None:
        await asyncio.sleep(PATIENCE_S)
        while missing := supervisor.missing():
            self._screen.warn(f"still waiting for {', '.join(missing)}")
            await asyncio.sleep(PATIENCE_S)

    def _announce(self, made: Plan) -> None:
        parts = [f"mail to smtp://{rooms.text_of(rooms.reachable(made.smtp))}"]
        if made.http:
            parts.append(f"functions at http://{rooms.text_of(rooms.reachable(made.http))}")
        parts.append(f"after {time.monotonic() - self._began:.1f} s")
        self._screen.ready("  ".join(parts))

    def _explain(self, error: Exception) -> None:
        if not isinstance(error, StartFailed):
            self._screen.fail(str(error))
            return
        lines = [line for line in error.lines if line.strip()]
        raised = [line for line in lines if EXCEPTION.match(line)]
        if raised or not lines:
            log = _short(self._home.logs / f"{error.program.name}.log")
            self._screen.fail(f"{error}: {raised[-1] if raised else 'it said nothing'} (see {log})")
        else:  # what a person has to change, line by line
            self._screen.fail(f"{error.program.name}: " + "\n  ".join(dict.fromkeys(lines)))

    def _heard(self, program: Program, lines: bytes) -> None:
        if program.name in self._overheard:
            self._overheard[program.name](lines)
            return
        if self._is_log_shown:
            sys.stdout.write("".join(f"{program.name:<10} {line}\n" for line in _decoded(lines)))
            sys.stdout.flush()
            return
        if program.name not in self._logs:
            self._logs[program.name] = LogFile(self._home.logs / f"{program.name}.log")
        self._logs[program.name].write(lines)
        if self._failure:
            return
        for line in _decoded(lines):
            self._screen.heard(program.name, line)

    def _listen_for_signals(self) -> None:
        def end() -> None:
            if self._stop.is_set() and self._supervisor:  # a second time: at once
                self._supervisor.kill()
            self._stop.set()

        loop = asyncio.get_running_loop()
        for which in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(which, end)
        loop.add_signal_handler(signal.SIGHUP, self._reread.set)


def _decoded(lines: bytes) -> list[str]:
    return lines.decode(errors="replace").splitlines()


def _short(path: Path) -> str:
    with contextlib.suppress(ValueError):
        return f"./{path.relative_to(Path.cwd())}"
    return str(path)
