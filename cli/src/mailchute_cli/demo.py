"""`mailchute demo` (`make run`): the whole system, one mail through it, and the webhook that comes of it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import secrets
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import click

from mailchute_cli import rooms
from mailchute_cli.home import Home
from mailchute_cli.plan import Plan, Request
from mailchute_cli.probes import answers_http
from mailchute_cli.program import STAGE_FUNCTIONS, Program
from mailchute_cli.sample import RECIPIENT, SENDER, SUBJECT, new_private_key, sample, zone_of
from mailchute_cli.screen import Screen
from mailchute_cli.send import submit
from mailchute_cli.up import Up
from mailchute_cli.webhook_view import shown

ARRIVAL_S = 30.0
DOMAIN = "inbox.test"
MAIL_ID = re.compile(r"msg_\w+")

ROUTES = """\
# Where the demo's mail goes; `mailchute up --routes FILE` takes such a file.
version: 1
domains:
  {domain}:
    support:
      endpoints:
        - url: {url}
          secret: {secret}
    "*":
      endpoints:
        - url: {url}
          secret: {secret}
"""


@click.command()
@click.option("--data", default=".mailchute", show_default=True, help="Directory of all that is kept.")
@click.option("--smtp", default="127.0.0.1:2525", show_default=True, help="Where mail is taken.")
@click.option("--http", default="127.0.0.1:8080", show_default=True, help="Where functions answer people.")
@click.pass_context
def demo(context: click.Context, data: str, smtp: str, http: str) -> None:
    """Start the whole system, send a mail through it, and show the webhook that arrives."""
    default = click.core.ParameterSource.DEFAULT
    home = Home(Path(data))
    os.environ.setdefault("MAILCHUTE_ALLOW_PRIVATE", "127.0.0.0/8")  # the receiver is on this machine
    os.environ.setdefault("MAILCHUTE_HOSTNAME", "localhost")
    os.environ.setdefault("MAILCHUTE_POSTMASTER_ALIAS", f"support@{DOMAIN}")
    show = Demo(home)
    request = Request(
        smtp=rooms.address("--smtp", smtp),
        http=rooms.address("--http", http),
        is_smtp_explicit=context.get_parameter_source("smtp") != default,
        is_http_explicit=context.get_parameter_source("http") != default,
        routes=show.routes,
    )
    up = Up(
        home,
        request,
        screen=show.screen,
        extras=show.programs(),
        when_ready=show.play,
        overheard={"receiver": show.heard},
    )
    context.exit(asyncio.run(up.run()))


class Demo:
    """One evening's performance: a receiver, its routes file, one mail, and what came of it."""

    def __init__(self, home: Home) -> None:
        self.screen = Screen()
        self._folder = home.directory / "demo"
        self._folder.mkdir(exist_ok=True)
        self._secret = home.secret(
            "demo-webhook", lambda: "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
        )
        self._address = (rooms.HOST, home.ports(("receiver",))["receiver"])
        self._url = f"http://{rooms.text_of(self._address)}/webhook"
        self.routes = self._folder / "routes.yml"
        self.routes.write_text(
            ROUTES.format(domain=DOMAIN, url=self._url, secret=self._secret.read_text().strip())
        )
        self._home = home
        self._dkim_key = home.secret("demo-dkim", new_private_key).read_text()
        self._arrivals: dict[str, asyncio.Event] = {}
        self._rest = b""

    def programs(self) -> tuple[Program, ...]:
        """Return the webhook endpoint, and the DNS unless one is given."""
        receiver = Program(
            name="receiver",
            command=self._command("receiver", self._address[1], self._secret),
            environ=rooms.environment(),
            is_ready=partial(answers_http, self._url),
            stage=STAGE_FUNCTIONS,
            where=self._url,
        )
        return (receiver,) if os.environ.get("MAILCHUTE_DNS") else (receiver, self._dns())

    def _dns(self) -> Program:
        zone = self._folder / "zone.json"
        zone.write_text(json.dumps(zone_of(self._dkim_key), indent=1) + "\n")
        address = (rooms.HOST, self._home.ports(("dns",))["dns"])
        os.environ["MAILCHUTE_DNS"] = rooms.text_of(address)
        return Program(
            name="dns",
            command=self._command("demo_dns", address[1], zone),
            environ=rooms.environment(),
            is_ready=_at_once,  # UDP does not say when somebody listens
            stage=STAGE_FUNCTIONS,
            where=rooms.text_of(address),
        )

    @staticmethod
    def _command(module: str, *arguments: object) -> tuple[str, ...]:
        return (sys.executable, "-m", f"mailchute_cli.{module}", *map(str, arguments))

    async def play(self, plan: Plan) -> None:
        """Send the mail, wait for its webhook, and say how to send the next."""
        mail = await asyncio.to_thread(sample, self._dkim_key)
        self.screen.say("")
        self.screen.say(f"sending  “{SUBJECT}”, from {SENDER} to {RECIPIENT}")
        smtp = rooms.reachable(plan.smtp)
        began = time.monotonic()
        answers = await asyncio.to_thread(submit, smtp, SENDER, (RECIPIENT,), mail)
        self.screen.say(f"         {answers[-1]}, {1000 * (time.monotonic() - began):.0f} ms")
        found = MAIL_ID.search(answers[-1])
        try:
            await asyncio.wait_for(self._arrival(found[0] if found else "").wait(), ARRIVAL_S)
        except TimeoutError:
            self.screen.warn(
                f"no webhook in {ARRIVAL_S:.0f} s; it is tried again by the schedule: see the logs"
            )
        self.screen.say(self._next_mail(rooms.text_of(smtp)))

    def heard(self, lines: bytes) -> None:
        """Show each webhook that the receiver tells of."""
        *whole, self._rest = (self._rest + lines).split(b"\n")
        for line in whole:
            try:
                told: dict[str, Any] = json.loads(line)
                payload = json.loads(told["body"])
            except (ValueError, KeyError):
                self.screen.warn(f"receiver: {line.decode(errors='replace')}")
                continue
            path = self._folder / f"{payload['id']}.json"
            path.write_text(json.dumps(payload, indent=2, ensure_ascii=False) + "\n")
            self.screen.say(shown(told, payload, path))
            self._arrival(payload["id"]).set()

    def _arrival(self, mail_id: str) -> asyncio.Event:
        return self._arrivals.setdefault(mail_id, asyncio.Event())

    def _next_mail(self, smtp: str) -> str:
        host, _, port = smtp.rpartition(":")
        python = (
            f"import smtplib; smtplib.SMTP('{host}', {port}).sendmail('{SENDER}', 'support@{DOMAIN}', "
            "'Subject: Hello\\n\\nHello.')"
        )
        option = "" if smtp == "127.0.0.1:2525" else f" --smtp {smtp}"
        return "\n".join(
            (
                click.style(f"Send the next one, to any name at {DOMAIN}:", bold=True),
                "",
                f"  .venv/bin/mailchute send{option} --to anyone@{DOMAIN} --subject Hello --attach README.md",
                f"  swaks --server {smtp} --from {SENDER} --to support@{DOMAIN} --header 'Subject: Hello'",
                f'  python3 -c "{python}"',
                "",
                f"Its webhook shows here too. Where mail goes stands in {os.path.relpath(self.routes)}.",
                "Ctrl-C stops; the next start carries on.",
            )
        )


async def _at_once() -> bool:
    return True
