"""Commands that are imported when they are asked for: none waits for what only another one needs."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

import click


class LazyGroup(click.Group):
    """A group that knows some of its commands by the module that each is in, under its name with `_` for `-`."""

    def __init__(self, *, modules: Mapping[str, str], **attributes: object) -> None:
        super().__init__(**attributes)  # type: ignore[arg-type]  # click checks them
        self._modules = dict(modules)  # of the commands not imported yet, by name

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names. Imports all: whoever lists commands shows something of each."""
        for name in [*self._modules]:
            self._import(name)
        return super().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported if need be."""
        if cmd_name in self._modules:
            self._import(cmd_name)
        elif cmd_name not in self.commands:
            self.list_commands(ctx)  # the error names those that are spelt alike
        return super().get_command(ctx, cmd_name)

    def _import(self, name: str) -> None:
        module = import_module(self._modules.pop(name))
        self.add_command(getattr(module, name.replace("-", "_")))
