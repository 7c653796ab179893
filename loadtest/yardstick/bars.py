"""The promises that a run is held against, each with what was measured. What was not measured in a run is left out."""

import dataclasses
import statistics

CLIENTS = 64
# What a request took of the floor where the costs that are allowed were set. Elsewhere a bar is what it is, and beside
# it stands what the cost comes to where the floor takes as long.
FLOOR_US = 7
# Throughput of `slug` as a share of the floor, at least.
FLOOR = {"off": 0.55, "full": 0.38}
# What tracing adds to `slug` in processor µs of the service, at most.
ADDED = {"full": 8, "tenth": 2}
# p99 stays under so many times p50.
TAIL = 3


@dataclasses.dataclass
class Bar:
    """One of them."""

    what: str
    measured: str
    bar: str
    holds: bool
    # What else has to be known to judge it.
    beside: str = ""

    def __str__(self):
        judged = f"{'holds' if self.holds else 'MISSED':<8}{self.beside}".rstrip()
        return f"{self.what:<44}{self.measured:>12}   bar: {self.bar:<13}{judged}"


def _found(results, clients):
    """Results at so many clients, by scenario and telemetry."""
    return {(one["scenario"], one["telemetry"]): one for one in results if one["connections"] == clients}


def _costs(at):
    for (scenario, telemetry), one in at.items():
        if one["bar"] and telemetry == "full":
            yield Bar(f"{scenario}: service and PostgreSQL", f"{one['together_us']:.1f} µs", f"≤ {one['bar']:g} µs",
                      one["together_us"] <= one["bar"], _scaled(one))


def _scaled(one):
    # Results of before the floor was measured in each round.
    if "floor_us" not in one:
        return ""
    scaled = statistics.median(taken["together_us"] / taken["floor_us"] for taken in one["rounds"]) * FLOOR_US
    return f"{scaled:.1f} µs at a floor of {FLOOR_US} µs; here it took {one['floor_us']:.1f}"


def _shares(at):
    for telemetry, least in FLOOR.items():
        one = at.get(("slug", telemetry))
        if one:
            yield Bar(f"slug: share of the floor, {telemetry}", f"{one['floor_ratio']:.1%}", f"≥ {least:.0%}",
                      one["floor_ratio"] >= least)


def _tracing(at):
    without = at.get(("slug", "off"))
    for telemetry, most in ADDED.items():
        one = at.get(("slug", telemetry))
        if one and without:
            added = statistics.median(there["service_us"] - here["service_us"]
                                      for there, here in zip(one["rounds"], without["rounds"]))
            yield Bar(f"slug: tracing adds to the service, {telemetry}", f"{added:.1f} µs", f"≤ {most} µs", added <= most)


def _tails(at):
    for (scenario, telemetry), one in at.items():
        if telemetry == "full":
            times = one["p99"] / one["p50"]
            yield Bar(f"{scenario}: p99 / p50", f"{times:.2f}", f"< {TAIL}", times < TAIL)


def _waiting(alone):
    for (scenario, telemetry), plain in alone.items():
        one = alone.get((scenario, "off"))
        if one and telemetry == "plain":
            yield Bar(f"{scenario}: p50 of one client, beside plain", f"{one['p50']:.3f} ms", f"≤ {plain['p50']:.3f} ms",
                      one["p50"] <= plain["p50"])


def of(results):
    """All bars for which there are measurements."""
    at, alone = _found(results, CLIENTS), _found(results, 1)
    return [*_costs(at), *_shares(at), *_tracing(at), *_tails(at), *_waiting(alone)]


def said(results):
    """The same as text."""
    return "\n".join(map(str, of(results))) or "no bars: nothing was measured that has one"
