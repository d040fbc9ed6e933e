"""The tool with a plain listing: one page after another, the specs of a page before the next."""

import sys
from math import inf

from olmix_evalscript import beaker, cli, listing

listing.FEW_PAGES = inf  # nothing is cut into slices
beaker.PAGES_AHEAD = 0
sys.exit(cli.main())
