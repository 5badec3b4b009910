"""Each list of the admin on the large databases: how many queries it takes, and how long.

No list may count a whole table, so a list takes at most one query more than in a small site
(tests/test_admin_lists.py).
"""

from bench import data, servers
from bench.report import Part, Row
from bench.sizes import Sizes

# As in tests/test_admin_lists.py. The time depends on the machine, so it fails nothing.
MOST_QUERIES = 9


async def run(sizes: Sizes) -> Part:
    table: list[Row] = [["database", "list", "queries", "seconds"]]
    remarks, failures = [], []
    for kind in data.KINDS:
        if data.scale_of(kind) is None:
            remarks.append(f"{kind}: {data.MISSING}")
            continue
        with data.opened(kind) as environment:
            for path, queries, seconds in servers.ask(environment, "time_admin_lists"):
                table.append([data.describe(kind), path, str(queries), f"{seconds:.2f}"])
                if queries > MOST_QUERIES:
                    failures.append(f"{kind}, {path}: {queries} queries")
    return Part("Lists of the admin", __doc__ or "", table, remarks=remarks, failures=failures)
