"""The run: servers, seed, scenarios beside the floor, statements, and what they came to."""

import argparse
import json
import os
import sys

from . import bars, measure, processor, report, scenarios, seed, servers, statements
from .rounds import Rounds

HEAD = (f"{'scenario':<16}{'telemetry':<10}{'clients':>8}{'req/s':>9}{'floor':>7}{'its µs':>8}{'p50':>8}{'p99':>8}{'p99.9':>8}"
        f"{'service':>9}{'postgres':>9}{'together':>9}{'stmts':>7}{'MiB':>7}")
OPEN = f"{'scenario':<16}{'telemetry':<10}{'wanted/s':>9}{'req/s':>9}{'p50':>8}{'p99':>8}{'p99.9':>8}"


def line(one):
    # Streams have no floor.
    share, bare = (f"{one['floor_ratio']:.0%}", f"{one['floor_us']:.1f}") if "floor_us" in one else ("-", "-")
    return (f"{one['scenario']:<16}{one['telemetry']:<10}{one['connections']:>8}{one['per_second']:>9.0f}"
            f"{share:>7}{bare:>8}{one['p50']:>8.2f}{one['p99']:>8.2f}{one['p99.9']:>8.2f}{one['service_us']:>9.1f}"
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


def main():
    names, how_much, machine, before = asked(), measure.settings(), processor.machine(), processor.stolen()
    seeded = seed.everything(how_much, max(seed.PEOPLE, how_much["streams"] if "streams" in names else 0))
    receiver = servers.Floor()
    rounds, results = Rounds(how_much, seeded, receiver), []
    if names != ["statements"]:
        print("\nmilliseconds, and processor microseconds a request; medians\n" + HEAD, flush=True)
    for name in names:
        for one in rounds.of(name) if name != "statements" else []:
            print(line(one), flush=True)
            results.append(one)
    receiver.stop()
    if any("open_loop" in one for one in results):
        print(opened(results))
    by_themselves = list(statements.measured(how_much["rounds"])) if "statements" in names else []
    machine["stolen"] = processor.stolen_since(before)
    whole = {"machine": machine, "settings": how_much, "results": results, "statements": by_themselves,
             "bars": [vars(bar) for bar in bars.of(results)]}
    place = os.environ["RESULTS"]
    with open(f"{place}/results.json", "w") as file:
        json.dump(whole, file, indent=1)
    report.write(whole, f"{place}/report.html")
    print(f"\n{bars.said(results)}\n\nother machines took {machine['stolen']} of the processors' time\n{place}/results.json, {place}/report.html")


main()
