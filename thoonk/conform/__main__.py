"""``python -m thoonk.conform``: the command by itself."""

import sys

try:
    from thoonk.conform.cli import conform
except ModuleNotFoundError as error:
    if error.name != "click":
        raise
    sys.exit("thoonk conform needs a package that is missing: pip install 'thoonk[cli]'")

conform(prog_name="python -m thoonk.conform")
