"""Bar charts as SVG, in the colours of the reader's theme."""

from xml.sax.saxutils import escape

from bench.report import Bars

WIDTH, LABELS, ROW, TOP = 720, 240, 26, 40
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600}.bar{fill:#8c959f}.own{fill:#0969da}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.bar{fill:#6e7681}.own{fill:#58a6ff}}"
)


def svg(chart: Bars) -> str:
    """Return a chart with one bar for each value; those of `own` are coloured."""
    height = TOP + ROW * len(chart.values) + 8
    most = max((value for _, value in chart.values), default=0) or 1
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(chart.title, {chr(34): "&quot;"})}">',
        f"<style>{STYLE}</style>",
        f'<text class="title" x="8" y="24">{escape(chart.title)}, {escape(chart.unit)}</text>',
    ]
    for index, (name, value) in enumerate(chart.values):
        y = TOP + ROW * index
        width = max(1, round((WIDTH - LABELS - 90) * value / most))
        kind = "own" if name in chart.own else "bar"
        lines += [
            f'<text x="{LABELS - 8}" y="{y + 15}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind}" x="{LABELS}" y="{y + 3}" width="{width}" height="{ROW - 8}" rx="3"/>',
            f'<text x="{LABELS + width + 6}" y="{y + 15}">{_figure(value)}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
