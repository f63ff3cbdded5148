"""``python -m thoonk.conform``: the command by itself."""

from thoonk.conform.cli import conform

conform(prog_name="python -m thoonk.conform")
