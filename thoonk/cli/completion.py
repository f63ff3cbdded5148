"""The command ``completion``."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

from thoonk.cli.session import Command

SHELLS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command(cls=Command)
@click.argument("shell", type=click.Choice([*SHELLS]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that lets SHELL complete commands, options and feed names.

    To enable it, add a line to the shell's configuration:

    \b
    bash:  eval "$(thoonk completion bash)"          in ~/.bashrc
    zsh:   eval "$(thoonk completion zsh)"           in ~/.zshrc
    fish:  thoonk completion fish | source           in ~/.config/fish/config.fish
    """  # noqa: D301 - a real backspace: click keeps the lines that follow it
    click.echo(SHELLS[shell](ctx.find_root().command, {}, "thoonk", "_THOONK_COMPLETE").source())
