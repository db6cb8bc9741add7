"""Commands whose ``--help`` ends with examples, printed as they stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click


class _Examples(click.Command):
    """Adds a section of examples; click itself would rewrap their lines into a paragraph."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples after the options."""
        super().format_epilog(ctx, formatter)
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write(f"  {example}\n")


class ExampleCommand(_Examples):
    """A command with examples."""


class ExampleGroup(_Examples, click.Group):
    """A group of commands with examples."""
