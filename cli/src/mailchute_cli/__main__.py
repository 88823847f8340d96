"""The commands of `mailchute`, each imported only when it is called."""

from __future__ import annotations

import importlib
import importlib.util

import click
from mailchute.errors import BadSetting, MailchuteError

COMMANDS = {  # name → module:attribute, in the order of the help text
    "up": "mailchute_cli.up:up",
    "send": "mailchute_cli.send:send",
    "demo": "mailchute_cli.demo:demo",
    "listen": "mailchute_cli.listen:listen",
    "explain": "mailchute_cli.explain:explain",
    "routes": "mailchute_cli.routes:routes",
    "domains": "mailchute_cli.domains:domains",
    "endpoints": "mailchute_cli.endpoints:endpoints",
    "emails": "mailchute_cli.emails:emails",
    "attempts": "mailchute_cli.emails:attempts",
    "replay": "mailchute_cli.orders:replay",
    "kick": "mailchute_cli.orders:kick",
    "spam": "mailchute_cli.spam:spam",
    "block": "mailchute_cli.block:block",
    "keys": "mailchute_cli.keys:keys",
    "export": "mailchute_cli.exporting:export",
    "import": "mailchute_cli.exporting:import_",
    "accounts": "mailchute_cli.accounts:accounts",
    "plans": "mailchute_cli.plans:plans",
    "retention": "mailchute_cli.retention:retention",
    "migrate": "mailchute_cli.migrate:migrate",
    "reseal": "mailchute_cli.reseal:reseal",
}


class Commands(click.Group):
    """Imports a command when it is called: `mailchute send` does not wait for SQLAlchemy."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(cls=Commands)
@click.version_option(package_name="mailchute-cli")
def cli() -> None:
    """Mail for an alias falls straight into your code: one SMTP message in, one signed JSON webhook out."""


def main() -> None:
    try:
        cli()
    except (BadSetting, MailchuteError) as error:
        raise SystemExit(f"mailchute: {error}") from None


if __name__ == "__main__":
    main()
