"""Plots in SVG, piece by piece."""

import html

COLORS = {"off": "#7a8b99", "tenth": "#d08c30", "full": "#2f6fb0", "plain": "#6a9a5b", "service": "#2f6fb0",
          "postgres": "#8fb8de", "p50": "#2f6fb0", "p99": "#d08c30", "p99.9": "#b04a4a", "resident": "#2f6fb0"}
RED = "#b04a4a"
STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:13px}td,th{padding:2px 9px;text-align:right;
border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}.missed{color:#b04a4a;font-weight:600}
svg{display:block;margin:1em 0;max-width:100%}svg text{font:12px system-ui,sans-serif;fill:#333}h2{margin-top:2em}"""
WIDTH, LEFT, ROW = 960, 190, 26


def text(x, y, said, anchor="start", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{html.escape(str(said))}</text>'


def rect(x, y, width, height, color, title=""):
    return (f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height}" fill="{color}">'
            f'<title>{html.escape(title)}</title></rect>')


def stroke(x1, y1, x2, y2, color=RED, width=2):
    return (f'<line x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}" stroke="{color}" '
            f'stroke-width="{width}"/>')


def legend(names, y=14):
    parts, x = [], LEFT
    for name in names:
        parts += [rect(x, y - 10, 11, 11, COLORS[name]), text(x + 16, y, name)]
        x += 90
    return parts


def svg(height, parts):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
            f'{"".join(parts)}</svg>')


def table(head, rows):
    """A table of rows of cells; a row that is a pair says first whether it is marked."""
    lines = []
    for row in rows:
        marked, cells = row if isinstance(row, tuple) else (False, row)
        lines.append(f'<tr{" class=missed" if marked else ""}>'
                     + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in cells) + "</tr>")
    return "<table><tr>" + "".join(f"<th>{name}</th>" for name in head) + "</tr>" + "".join(lines) + "</table>"


def facts(machine):
    """What the figures were measured on, in a line."""
    return " · ".join(f"{name.replace('_', ' ')}: {html.escape(str(value))}" for name, value in machine.items())
