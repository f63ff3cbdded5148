"""``python -m thoonk.conform``: the command by itself."""

import sys

from thoonk.extras import how_to_install

try:
    from thoonk.conform.cli import conform
except ModuleNotFoundError as error:
    if error.name != "click":
        raise
    sys.exit(f"thoonk conform needs a package that is missing: {how_to_install('cli')}")

conform(prog_name="python -m thoonk.conform")
