"""`mailchute spam`: what the built-in spam engine learns from mail of yours."""

from __future__ import annotations

from pathlib import Path

import click
from mailchute.classifier import save
from mailchute.classifier import train as learn

from .control import DATA
from .home import Home

FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.group()
def spam() -> None:
    """What the built-in spam engine learns."""


@spam.command()
@click.option("--ham", required=True, type=FOLDER, help="Mails that are wanted, a file each.")
@click.option("--spam", required=True, type=FOLDER, help="Mails that are not.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), default=DATA, show_default=True)
def train(ham: Path, spam: Path, data: Path) -> None:
    """Learn from two folders of mail; `mailchute up` uses it from its next start."""
    model = learn(ham, spam)
    path = Home(data).spam_model
    save(model, path)
    print(f"learned from {model.ham_count} mails of ham and {model.spam_count} of spam, written to {path}")
