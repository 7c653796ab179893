"""The page that shows a run: its tables, and plots in SVG. Nothing is loaded from elsewhere."""

import json
import statistics
import sys

from . import bars, draw
from .draw import COLORS, LEFT, ROW, WIDTH, legend, rect, stroke, svg, text


def _at_bars(results):
    """What plots show. Logins cost a thousand times as much as all else: they would hide the rest."""
    return [one for one in results if one["connections"] == bars.CLIENTS and one["together_us"] < 3000]


def costs(results):
    """A row for each: the service's part, PostgreSQL's part, and the bar as a line."""
    shown = _at_bars(results)
    if not shown:
        return ""
    most = max(max(one["together_us"], one["bar"] or 0) for one in shown)
    scale, parts, y = (WIDTH - LEFT - 90) / most, legend(["service", "postgres"]), 28
    for one in shown:
        label = f"{one['scenario']} · {one['telemetry']}"
        own, theirs = one["service_us"] * scale, one["postgres_us"] * scale
        parts += [text(LEFT - 8, y + 14, label, "end"), rect(LEFT, y, own, 18, COLORS["service"], label),
                  rect(LEFT + own, y, theirs, 18, COLORS["postgres"], label)]
        end = LEFT + own + theirs
        if one["bar"] and one["telemetry"] == "full":
            x = LEFT + one["bar"] * scale
            parts.append(stroke(x, y - 3, x, y + 21))
            # The number stands behind both, unless there is room for it between them.
            end = x if end < x < end + 50 else end
        parts.append(text(end + 6, y + 14, f"{one['together_us']:.1f}"))
        y += ROW
    return svg(y + 6, parts)


def ratios(results):
    """Throughput as a share of the floor, for each scenario, by connections and telemetry."""
    shown = [one for one in results if "floor_us" in one]
    if not shown:
        return ""
    kinds = {one["telemetry"] for one in shown}
    parts, y = legend([name for name in ("off", "tenth", "full", "plain") if name in kinds]), 28
    scale, small = (WIDTH - LEFT - 90) / max(one["floor_ratio"] for one in shown), 'style="font-size:10px"'
    for one in shown:
        label, width = f"{one['scenario']} · {one['connections']}", one["floor_ratio"] * scale
        parts += [text(LEFT - 8, y + 9, label, "end", small), rect(LEFT, y, width, 9, COLORS[one["telemetry"]], label),
                  text(LEFT + width + 5, y + 9, f"{one['floor_ratio']:.0%}", more=small)]
        y += 13
    return svg(y + 6, parts)


def latencies(results):
    """p50, p99 and p99.9 at 64 connections, closed loop."""
    shown = _at_bars(results)
    if not shown:
        return ""
    scale, parts, y = (WIDTH - LEFT - 90) / max(one["p99.9"] for one in shown), legend(["p50", "p99", "p99.9"]), 28
    for one in shown:
        parts.append(text(LEFT - 8, y + 16, f"{one['scenario']} · {one['telemetry']}", "end"))
        for place, share in enumerate(("p50", "p99", "p99.9")):
            parts.append(rect(LEFT, y + place * 8, one[share] * scale, 7, COLORS[share], f"{share}: {one[share]:.2f} ms"))
        parts.append(text(LEFT + one["p99.9"] * scale + 6, y + 23, f"{one['p99.9']:.1f} ms"))
        y += 32
    return svg(y + 6, parts)


def promises(results):
    """The bars, and whether they hold."""
    rows = [(not bar.holds, [bar.what, bar.measured, bar.bar, "holds" if bar.holds else "MISSED", bar.beside])
            for bar in bars.of(results)]
    return draw.table(["what", "measured", "bar", "", ""], rows) if rows else "<p>Nothing was measured that has a bar.</p>"


def table(results):
    """Every figure."""
    head = ["scenario", "telemetry", "clients", "requests/s", "of the floor", "its µs", "p50 ms", "p99 ms", "p99.9 ms", "service µs",
            "PostgreSQL µs", "together µs", "bar", "statements", "spans lost", "MiB", "open loop: req/s", "p50", "p99", "p99.9"]
    rows = []
    for one in results:
        opened = one.get("open_loop")
        tail = [opened["rate"], *(f"{opened[share]:.2f}" for share in ("p50", "p99", "p99.9"))] if opened else [""] * 4
        missed = (one["bar"] and one["telemetry"] == "full" and one["connections"] == bars.CLIENTS
                  and one["together_us"] > one["bar"])
        beside = [f"{one['floor_ratio']:.0%}", f"{one['floor_us']:.1f}"] if "floor_us" in one else [""] * 2
        rows.append((missed, [one["scenario"], one["telemetry"], one["connections"], f"{one['per_second']:.0f}", *beside,
                              *(f"{one[share]:.2f}" for share in ("p50", "p99", "p99.9")), f"{one['service_us']:.1f}",
                              f"{one['postgres_us']:.1f}", f"{one['together_us']:.1f}", one["bar"] or "",
                              f"{one['statements']:.3f}", f"{one['spans_lost']:.0f}", f"{one['resident_mib']:.1f}", *tail]))
    return draw.table(head, rows)


def floor(results):
    """The bare server, of all rounds."""
    rows = []
    for count in sorted({one["connections"] for one in results if "floor_us" in one}):
        rounds = [taken for one in results if one["connections"] == count and "floor_us" in one for taken in one["rounds"]]
        per_second, costs, waits = ([taken[name] for taken in rounds] for name in ("floor", "floor_us", "floor_p50"))
        rows.append([count, f"{statistics.median(per_second):.0f}", f"{statistics.median(costs):.1f}",
                     f"{min(costs):.1f} to {max(costs):.1f}", f"{statistics.median(waits):.2f}"])
    return draw.table(["clients", "requests/s", "µs", "from … to", "p50 ms"], rows)


def statements(measured):
    """What statements cost by themselves."""
    if not measured:
        return ""
    rows = [[one["statement"], f"{one['alone_us']:.0f}", f"{one['gathered_us']:.0f}"] for one in measured]
    return f"""<h2>Statements by themselves</h2><p>Processor µs of PostgreSQL for whoever is served, by pgbench.</p>
{draw.table(["statement", "alone", "of 25 together"], rows)}"""


def write(whole, path):
    """Writes the page."""
    results = whole["results"]
    page = f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>What a request costs</title><style>{draw.STYLE}</style>
<h1>What a request costs</h1><p>{draw.facts(whole['machine'])}</p><p>{whole['settings']['rounds']} × {whole['settings']['seconds']:g} s
each, of which medians are shown; {whole['settings']['articles']} articles. Load generator, service, PostgreSQL and receiver
share the machine.</p>
<h2>Bars</h2>{promises(results)}
<h2>Processor time a request, 64 clients</h2><p>Microseconds, user and system, of all threads. Red: the bar, for telemetry in full.</p>{costs(results)}
<h2>Throughput as a share of the floor</h2><p>The floor is a bare hyper server, measured in the same run.</p>{ratios(results)}
<h2>Latency, 64 clients as fast as they can</h2>{latencies(results)}
<h2>The floor</h2>{floor(results)}
{statements(whole['statements'])}
<h2>All of it</h2><p>Of <b>streams</b> a request is a notification, from the follow that causes it to its event.</p>{table(results)}</html>"""
    with open(path, "w") as file:
        file.write(page)


if __name__ == "__main__":
    with open(sys.argv[1]) as source:
        write(json.load(source), sys.argv[2])
