"""Runs the command by itself: ``python -m thoonk.doctor URL``."""

import sys

from thoonk.extras import how_to_install

try:
    from thoonk.doctor.command import main
except ImportError as error:
    sys.exit(f"Error: packages are missing ({error}): {how_to_install('cli')}")

main()
