"""The soak: the mix for ten minutes, with everything exported and jobs done, and what the service holds in memory.

    seed ─▶ clients ─▶ resident memory, every ten seconds ─▶ is it little, and flat? ─▶ soak.json, soak.svg

Flat means that the last fifth of the time has about what the second had: the first is for warming up. What must stay
true: as in the other measurements, any answer but the right one ends it.
"""

import json
import os
import statistics
import subprocess
import sys
import time

from . import draw, measure, processor, scenarios, seed, servers
from .draw import COLORS, LEFT, WIDTH, rect, stroke, svg, text

EVERY_SECONDS = 10
# Bytes that are resident at any time, at most; and what the last fifth may have more than the second.
MOST, GROWTH = 60_000_000, 1.05
HEIGHT, TOP = 260, 34


def watched(pid, clients, seconds):
    """Seconds and resident bytes, for as long as the clients ask."""
    began, series = time.monotonic(), []
    # A short soak has as many points as it needs to be judged.
    every = min(EVERY_SECONDS, seconds / 20)
    while clients.poll() is None:
        series.append((round(time.monotonic() - began, 1), processor.memory(pid)[0]))
        try:
            clients.wait(max(0, began + len(series) * every - time.monotonic()))
        except subprocess.TimeoutExpired:
            pass
    return series


def fifth(series, number):
    """The median of a fifth of the time, from 0."""
    part = series[len(series) * number // 5:len(series) * (number + 1) // 5]
    return statistics.median(resident for _, resident in part)


def verdict(series, highest):
    """Whether it was little, and whether it was flat."""
    second, last = fifth(series, 1), fifth(series, 4)
    most = max(resident for _, resident in series)
    return {"second_fifth": second, "last_fifth": last, "most": most, "highest": highest,
            "little": most < MOST, "flat": last <= second * GROWTH}


def plot(series):
    """Resident memory over time, and the bar."""
    until, most = series[-1][0] or 1, max(MOST, max(resident for _, resident in series)) * 1.1
    wide, high = WIDTH - LEFT - 40, HEIGHT - TOP - 30
    at = lambda seconds, resident: (LEFT + seconds / until * wide, TOP + high - resident / most * high)
    bottom, bar = at(0, 0)[1], at(0, MOST)[1]
    line = " ".join("{:.1f},{:.1f}".format(*at(*point)) for point in series)
    parts = [rect(LEFT, 4, 11, 11, COLORS["resident"]), text(LEFT + 16, 14, "resident memory of the service, MB"),
             stroke(LEFT, bottom, LEFT + wide, bottom, "#999", 1), stroke(LEFT, bar, LEFT + wide, bar),
             text(LEFT - 8, bottom + 4, "0", "end"), text(LEFT - 8, bar + 4, f"bar: {MOST / 1e6:g}", "end"),
             text(LEFT, bottom + 20, "0 s"), text(LEFT + wide, bottom + 20, f"{until:.0f} s", "end"),
             f'<polyline points="{line}" fill="none" stroke="{COLORS["resident"]}" stroke-width="2"/>']
    return svg(HEIGHT, parts).replace("<svg ", f'<svg font-family="system-ui,sans-serif" font-size="12" width="{WIDTH}" ', 1)


def said(seen, series, found):
    """All of it as text."""
    holds = lambda true: "holds" if true else "MISSED"
    points = "\n".join(f"{seconds:>8.0f} s {resident / 1e6:>8.1f} MB" for seconds, resident in series)
    return f"""{points}

{seen['requests']} requests, {seen['per_second']:.0f} a second; p50 {seen['p50']:.1f} ms, p99 {seen['p99']:.1f} ms
median of the second fifth {found['second_fifth'] / 1e6:.1f} MB, of the last {found['last_fifth'] / 1e6:.1f} MB; at any time up to {found['highest'] / 1e6:.1f} MB
resident, at the most {found['most'] / 1e6:>8.1f} MB   bar: < {MOST / 1e6:g} MB   {holds(found['little'])}
last fifth / second   {found['last_fifth'] / found['second_fifth']:>8.3f}      bar: ≤ {GROWTH:g}    {holds(found['flat'])}"""


def main():
    how_much, machine, before = measure.settings(), processor.machine(), processor.stolen()
    connections, seconds = max(how_much["connections"]), how_much["seconds"]
    seed.everything(how_much, max(seed.PEOPLE, connections))
    receiver = servers.Floor()
    service = servers.Service("full", receiver.host, workers=True)
    mix = scenarios.Scenario("mix", crowd="mix", expected="expected")
    print(f"the mix with {connections} clients for {seconds:g} s …", flush=True)
    clients = servers.start(measure.crowd(service.host, mix, connections, seconds), stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)
    series = watched(service.pid, clients, seconds)
    output, errors = clients.communicate()
    if clients.returncode:
        sys.exit(f"soak: {errors.strip()}")
    seen, found = measure.seen_by(mix, output), verdict(series, processor.memory(service.pid)[1])
    service.stop()
    receiver.stop()
    machine["stolen"] = processor.stolen_since(before)
    place = os.environ["RESULTS"]
    with open(f"{place}/soak.json", "w") as file:
        json.dump({"machine": machine, "settings": how_much, "seen": seen, "series": series, **found}, file, indent=1)
    with open(f"{place}/soak.svg", "w") as file:
        file.write(plot(series))
    print(f"{said(seen, series, found)}\n{place}/soak.json, {place}/soak.svg")
    sys.exit(0 if found["little"] and found["flat"] else "soak: MISSED")


if __name__ == "__main__":
    main()
