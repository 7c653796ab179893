"""The run: servers, seed, floor, scenarios, statements, and what they came to."""

import argparse
import json
import os
import sys

from . import bars, measure, processor, report, scenarios, seed, servers, statements
from .rounds import Rounds

HEAD = (f"{'scenario':<16}{'telemetry':<10}{'clients':>8}{'req/s':>9}{'floor':>7}{'p50':>8}{'p99':>8}{'p99.9':>8}"
        f"{'service':>9}{'postgres':>9}{'together':>9}{'stmts':>7}{'MiB':>7}")
OPEN = f"{'scenario':<16}{'telemetry':<10}{'wanted/s':>9}{'req/s':>9}{'p50':>8}{'p99':>8}{'p99.9':>8}"


def line(one):
    share = f"{one['floor_ratio']:.0%}" if one["floor_ratio"] else "-"
    return (f"{one['scenario']:<16}{one['telemetry']:<10}{one['connections']:>8}{one['per_second']:>9.0f}"
            f"{share:>7}{one['p50']:>8.2f}{one['p99']:>8.2f}{one['p99.9']:>8.2f}{one['service_us']:>9.1f}"
            f"{one['postgres_us']:>9.1f}{one['together_us']:>9.1f}{one['statements']:>7.3f}{one['resident_mib']:>7.1f}")


def opened(results):
    """What clients saw who ask at a fixed rate, and count their time from when they should have asked."""
    lines = [f"{one['scenario']:<16}{one['telemetry']:<10}{one['open_loop']['rate']:>9}{one['open_loop']['per_second']:>9.0f}"
             + "".join(f"{one['open_loop'][share]:>8.2f}" for share in ("p50", "p99", "p99.9"))
             for one in results if "open_loop" in one]
    return "\n".join(["\nat half that rate, evenly, with 64 clients; milliseconds from when it was time to ask", OPEN, *lines])


def asked():
    """The names of the scenarios to measure."""
    arguments = argparse.ArgumentParser(prog="loadtest/run.sh", description=__doc__)
    arguments.add_argument("scenario", nargs="*", help="all when none is named; --list names them")
    given = arguments.parse_args().scenario
    unknown = sorted(set(given) - set(scenarios.NAMES))
    if unknown:
        sys.exit(f"loadtest: there is no scenario {', '.join(unknown)}; there are {', '.join(scenarios.NAMES)}")
    return given or scenarios.NAMES


def floor(receiver, how_much):
    """What the bare server does at each number of connections."""
    floors = {count: measure.floor(receiver, count, how_much["seconds"], how_much["rounds"])
              for count in how_much["connections"]}
    for count, one in floors.items():
        print(f"floor at {count} connections: {one['per_second']:.0f} requests/s, {one['us']:.1f} µs each", flush=True)
    return floors


def of_each(names, rounds, how_much):
    """The results of these scenarios, printed as they come."""
    for name in names:
        for telemetry in how_much["telemetry"]:
            yield from rounds.streams(telemetry) if name == "streams" else rounds.service(name, telemetry)


def main():
    names, how_much, machine, before = asked(), measure.settings(), processor.machine(), processor.stolen()
    by_requests = [name for name in names if name not in ("streams", "statements")]
    seeded = seed.everything(how_much, max(seed.PEOPLE, how_much["streams"] if "streams" in names else 0))
    receiver = servers.Floor()
    floors = floor(receiver, how_much) if by_requests else {}
    results = []
    if names != ["statements"]:
        print("\nmilliseconds, and processor microseconds a request; medians\n" + HEAD, flush=True)
    for one in of_each([name for name in names if name != "statements"], Rounds(how_much, seeded, receiver, floors), how_much):
        print(line(one), flush=True)
        results.append(one)
    receiver.stop()
    if any("open_loop" in one for one in results):
        print(opened(results))
    by_themselves = list(statements.measured(how_much["rounds"])) if "statements" in names else []
    machine["stolen"] = processor.stolen_since(before)
    whole = {"machine": machine, "settings": how_much, "floor": floors, "results": results, "statements": by_themselves,
             "bars": [vars(bar) for bar in bars.of(results)]}
    place = os.environ["RESULTS"]
    with open(f"{place}/results.json", "w") as file:
        json.dump(whole, file, indent=1)
    report.write(whole, f"{place}/report.html")
    print(f"\n{bars.said(results)}\n\nother machines took {machine['stolen']} of the processors' time\n{place}/results.json, {place}/report.html")


main()
