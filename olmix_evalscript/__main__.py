"""``python -m olmix_evalscript``."""

from olmix_evalscript.cli import main

main()
