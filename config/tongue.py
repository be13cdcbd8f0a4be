"""The language of the command line: what LC_ALL, LC_MESSAGES or LANG say, words from the one catalogue. Texts are written in English where
they are said; nothing here knows a command."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import typer
from typer.main import get_command

from crm_core.kernel.sentence import Sentence
from crm_core.kernel.words import say


def tongue(environment: Mapping[str, str] = os.environ) -> str:
    """zh or en; English unless the environment asks for Chinese."""
    wanted = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := environment.get(name))), "")
    return "zh" if wanted.lower().startswith("zh") else "en"


def told(message: str | Sentence, /, **values: Any) -> str:
    """A message in the language of the terminal, with its placeholders filled."""
    return say(tongue(), message, **values)


def in_own_language(app: typer.Typer) -> Any:
    """The command with the help of all its commands and options translated."""
    command = get_command(app)
    _translate(command)
    return command


def helps(command: Any) -> list[str]:
    """Every help text of a command, its options and its sub-commands."""
    own = [command.help, *(getattr(one, "help", None) for one in command.params)]
    return [text for text in own if text] + [text for one in getattr(command, "commands", {}).values() for text in helps(one)]


def _translate(command: Any) -> None:
    for one in (command, *command.params):
        if getattr(one, "help", None):
            one.help = told(one.help)
    for inner in getattr(command, "commands", {}).values():
        _translate(inner)
