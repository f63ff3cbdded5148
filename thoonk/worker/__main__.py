"""``python -m thoonk.worker MODULE:WORKER``: the same as ``thoonk work``."""

import sys

from thoonk.cli import main

sys.argv.insert(1, "work")
main()
