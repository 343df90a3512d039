"""Hardships as options of a command."""

from collections.abc import Callable
from typing import Any

import typer


def option_of(parse: Callable[[str], float], name: str, metavar: str, help_text: str) -> Any:
    """An option whose value `parse` reads; what it raises is told as the command's other usage errors are."""

    def parsed(text: str) -> float:
        # Defaults pass here as well.
        if not isinstance(text, str):
            return text
        try:
            return parse(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    return typer.Option(name, parser=parsed, metavar=metavar, help=help_text, show_default=False)
