"""Search among 1,000,000 messages, a tenth of them in a room that the user may not enter: each kind of query.

The target is 50 ms for the median of all queries, on both databases. A search is given up after 2 s.
"""

from bench import data, servers
from bench.report import Part, Row
from bench.sizes import Sizes


async def run(sizes: Sizes) -> Part:
    table: list[Row] = [["database", "query", "for example", "p50, ms", "p95, ms", "found"]]
    remarks = []
    for kind in data.KINDS:
        if data.scale_of(kind) is None:
            remarks.append(f"{kind}: {data.MISSING}")
            continue
        with data.opened(kind, "bench_search") as environment:
            for query, example, p50, p95, found in servers.ask(environment, "time_searches"):
                shown = f"`{example}`" if example else ""
                table.append([f"{kind}, {data.MESSAGES:,} messages", query, shown, f"{p50:.0f}", f"{p95:.0f}", found])
    return Part("Search", __doc__ or "", table, remarks=remarks)
