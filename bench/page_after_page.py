"""The tool with a plain listing: one page after another."""

import sys
from math import inf

from olmix_evalscript import cli, listing

listing.FEW_PAGES = inf  # nothing is cut into slices
sys.exit(cli.main())
