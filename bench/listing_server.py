"""An S3 server that answers listings alone, for buckets larger than moto can hold in time."""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, quote, urlsplit
from xml.sax.saxutils import escape

from tests.storage import xml_server

PAGE = 1000  # keys, the most that S3 gives at once
LAST = "\U0010ffff"  # sorts after any other character


class Listing:
    """A bucket of which the keys can be listed, page by page."""

    def __init__(self, keys: Iterable[str], latency: float) -> None:
        self.keys = sorted(keys)
        self.latency = latency  # seconds a page
        self.calls: Counter[str] = Counter()  # pages served of each prefix
        self.url = ""

    def page(self, prefix: str, delimiter: str, after: str) -> tuple[list[str], list[str], str]:
        """Keys, common prefixes, and after what the next page begins: empty at the end."""
        keys: list[str] = []
        common: list[str] = []
        at = max(bisect_left(self.keys, prefix), bisect_right(self.keys, after))
        while at < len(self.keys) and self.keys[at].startswith(prefix):
            if len(keys) + len(common) == PAGE:
                return keys, common, after
            head, found, _ = self.keys[at][len(prefix) :].partition(delimiter or LAST)
            if found:
                common.append(prefix + head + found)
                after = common[-1] + LAST
                at = bisect_left(self.keys, after)
            else:
                keys.append(after := self.keys[at])
                at += 1
        return keys, common, ""


@contextmanager
def listing_server(keys: Iterable[str], latency: float) -> Iterator[Listing]:
    """Serve a bucket of any name that holds these keys."""
    listing = Listing(keys, latency)

    def answer(path: str) -> tuple[int, str]:
        url = urlsplit(path)
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        prefix = asked.get("prefix", "")
        after = asked.get("continuation-token") or asked.get("start-after", "")
        listing.calls[prefix] += 1
        time.sleep(listing.latency)
        keys, common, more = listing.page(prefix, asked.get("delimiter", ""), after)
        return 200, "".join(_xml(url.path.strip("/"), prefix, keys, common, more))

    with xml_server(answer) as listing.url:
        yield listing


def _xml(bucket: str, prefix: str, keys: list[str], common: list[str], more: str) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    yield f"<Name>{escape(bucket)}</Name><Prefix>{quote(prefix)}</Prefix>"
    yield f"<MaxKeys>{PAGE}</MaxKeys><EncodingType>url</EncodingType>"
    yield f"<KeyCount>{len(keys) + len(common)}</KeyCount>"
    yield f"<IsTruncated>{str(bool(more)).lower()}</IsTruncated>"
    if more:
        yield f"<NextContinuationToken>{escape(more)}</NextContinuationToken>"
    for key in keys:
        yield (
            f"<Contents><Key>{quote(key)}</Key><LastModified>2026-03-01T00:00:00.000Z"
            '</LastModified><ETag>"0"</ETag><Size>1</Size>'
            "<StorageClass>STANDARD</StorageClass></Contents>"
        )
    for head in common:
        yield f"<CommonPrefixes><Prefix>{quote(head)}</Prefix></CommonPrefixes>"
    yield "</ListBucketResult>"
