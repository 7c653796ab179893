"""The page that shows a run: its tables, and plots in SVG. Nothing is loaded from elsewhere."""

import html
import json
import sys

COLORS = {"off": "#7a8b99", "tenth": "#d08c30", "full": "#2f6fb0", "service": "#2f6fb0", "postgres": "#8fb8de",
          "p50": "#2f6fb0", "p99": "#d08c30", "p99.9": "#b04a4a"}
STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:13px}td,th{padding:2px 9px;text-align:right;
border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}.missed{color:#b04a4a;font-weight:600}
svg{display:block;margin:1em 0;max-width:100%}svg text{font:12px system-ui,sans-serif;fill:#333}h2{margin-top:2em}"""
WIDTH, LEFT, ROW = 960, 190, 26


def bars(whole):
    """What the bars say, as text."""
    lines = []
    for one in whole["results"]:
        if one["bar"] and one["connections"] == 64 and one["telemetry"] == "full":
            holds = "holds" if one["together_us"] <= one["bar"] else "MISSED"
            lines.append(f"{one['scenario']:<16}{one['together_us']:>8.1f} µs   bar: {one['bar']:>4.0f}   {holds}")
    return "\n".join(lines) or "no bars: they are for 64 connections with telemetry in full"


def _text(x, y, text, anchor="start", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{html.escape(str(text))}</text>'


def _rect(x, y, width, height, color, title=""):
    return (f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height}" fill="{color}">'
            f'<title>{html.escape(title)}</title></rect>')


def _legend(names, y=14):
    parts, x = [], LEFT
    for name in names:
        parts += [_rect(x, y - 10, 11, 11, COLORS[name]), _text(x + 16, y, name)]
        x += 90
    return parts


def _svg(height, parts):
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img">{"".join(parts)}</svg>'


def costs(results):
    """A row for each: the service's part, PostgreSQL's part, and the bar as a line."""
    shown = [one for one in results if one["connections"] == 64]
    if not shown:
        return ""
    # Logins cost a thousand times as much: they would hide the rest.
    shown = [one for one in shown if one["together_us"] < 3000]
    most = max(max(one["together_us"], one["bar"] or 0) for one in shown)
    scale, parts, y = (WIDTH - LEFT - 90) / most, _legend(["service", "postgres"]), 28
    for one in shown:
        label = f"{one['scenario']} · {one['telemetry']}"
        own, theirs = one["service_us"] * scale, one["postgres_us"] * scale
        parts += [_text(LEFT - 8, y + 14, label, "end"), _rect(LEFT, y, own, 18, COLORS["service"], label),
                  _rect(LEFT + own, y, theirs, 18, COLORS["postgres"], label),
                  _text(LEFT + own + theirs + 6, y + 14, f"{one['together_us']:.1f}")]
        if one["bar"] and one["telemetry"] == "full":
            x = LEFT + one["bar"] * scale
            parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y - 3}" y2="{y + 21}" stroke="#b04a4a" stroke-width="2"/>')
        y += ROW
    return _svg(y + 6, parts)


def ratios(results):
    """Throughput as a share of the floor, for each scenario, by connections and telemetry."""
    parts, y = _legend([name for name in ("off", "tenth", "full") if any(one["telemetry"] == name for one in results)]), 28
    scale = (WIDTH - LEFT - 90) / max(one["floor_ratio"] for one in results)
    for one in results:
        label = f"{one['scenario']} · {one['connections']}"
        parts += [_text(LEFT - 8, y + 9, label, "end", 'style="font-size:10px"'),
                  _rect(LEFT, y, one["floor_ratio"] * scale, 9, COLORS[one["telemetry"]], label),
                  _text(LEFT + one["floor_ratio"] * scale + 5, y + 9, f"{one['floor_ratio']:.0%}", more='style="font-size:10px"')]
        y += 13
    return _svg(y + 6, parts)


def latencies(results):
    """p50, p99 and p99.9 at 64 connections, closed and open loop."""
    shown = [one for one in results if one["connections"] == 64 and one["together_us"] < 3000]
    if not shown:
        return ""
    scale, parts, y = (WIDTH - LEFT - 90) / max(one["p99.9"] for one in shown), _legend(["p50", "p99", "p99.9"]), 28
    for one in shown:
        parts.append(_text(LEFT - 8, y + 16, f"{one['scenario']} · {one['telemetry']}", "end"))
        for place, share in enumerate(("p50", "p99", "p99.9")):
            parts += [_rect(LEFT, y + place * 8, one[share] * scale, 7, COLORS[share], f"{share}: {one[share]:.2f} ms")]
        parts.append(_text(LEFT + one["p99.9"] * scale + 6, y + 23, f"{one['p99.9']:.1f} ms"))
        y += 32
    return _svg(y + 6, parts)


def table(results):
    head = ["scenario", "telemetry", "clients", "requests/s", "of the floor", "p50 ms", "p99 ms", "p99.9 ms", "service µs",
            "PostgreSQL µs", "together µs", "bar", "statements", "spans lost", "MiB", "open loop: req/s", "p50", "p99", "p99.9"]
    rows = []
    for one in results:
        opened = one.get("open_loop")
        tail = [opened["rate"], *(f"{opened[share]:.2f}" for share in ("p50", "p99", "p99.9"))] if opened else [""] * 4
        missed = one["bar"] and one["telemetry"] == "full" and one["connections"] == 64 and one["together_us"] > one["bar"]
        cells = [one["scenario"], one["telemetry"], one["connections"], f"{one['per_second']:.0f}", f"{one['floor_ratio']:.0%}",
                 *(f"{one[share]:.2f}" for share in ("p50", "p99", "p99.9")), f"{one['service_us']:.1f}",
                 f"{one['postgres_us']:.1f}", f"{one['together_us']:.1f}", one["bar"] or "", f"{one['statements']:.3f}",
                 f"{one['spans_lost']:.0f}", f"{one['resident_mib']:.1f}", *tail]
        rows.append(f'<tr{" class=missed" if missed else ""}>' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return "<table><tr>" + "".join(f"<th>{name}</th>" for name in head) + "</tr>" + "".join(rows) + "</table>"


def write(whole, path):
    """Writes the page."""
    facts = " · ".join(f"{name.replace('_', ' ')}: {html.escape(str(value))}" for name, value in whole["machine"].items())
    floors = "".join(f"<tr><td>{count}</td><td>{one['per_second']:.0f}</td><td>{one['us']:.1f}</td><td>{one['p50']:.2f}</td></tr>"
                     for count, one in whole["floor"].items())
    results = whole["results"]
    page = f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>What a request costs</title><style>{STYLE}</style>
<h1>What a request costs</h1><p>{facts}</p><p>Medians of {whole['settings']['rounds']} rounds of {whole['settings']['seconds']:g} s;
{whole['settings']['articles']} articles. Load generator, service, PostgreSQL and receiver share the machine.</p>
<h2>Processor time a request, 64 clients</h2><p>Microseconds, user and system, of all threads. Red: the bar, for telemetry in full.</p>{costs(results)}
<h2>Throughput as a share of the floor</h2><p>The floor is a bare hyper server, measured in the same run.</p>{ratios(results)}
<h2>Latency, 64 clients as fast as they can</h2>{latencies(results)}
<h2>The floor</h2><table><tr><th>clients</th><th>requests/s</th><th>µs</th><th>p50 ms</th></tr>{floors}</table>
<h2>All of it</h2>{table(results)}</html>"""
    with open(path, "w") as file:
        file.write(page)


if __name__ == "__main__":
    with open(sys.argv[1]) as source:
        write(json.load(source), sys.argv[2])
