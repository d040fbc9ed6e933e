"""The tool with a plain listing: one page after another, the specs of a page before the next."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from olmix_evalscript import beaker, cli


def _workload_pages(
    client: Any, search: beaker.Search, targets: list[Any], text: str | None = None
) -> Iterator[list[Any]]:
    since = None if search.since is None else beaker._nanoseconds(search.since)
    for target in targets:
        token = ""
        while True:
            page = beaker._workload_page(client, target, text, since, None, token)
            yield [entry.value for entry in page.entries]
            token = page.token
            if not token:
                break


if __name__ == "__main__":
    beaker._workload_pages = _workload_pages
    beaker.PAGES_AHEAD = 0
    sys.exit(cli.main())
