"""``python -m thoonk.cli``."""

from thoonk.cli import main

main()
