"""The run: servers, seed, warm-up, rounds, and what they came to."""

import argparse
import json
import os
import sys

from . import measure, processor, report, scenarios, seed, servers

HEAD = (f"{'scenario':<16}{'telemetry':<10}{'clients':>8}{'req/s':>9}{'floor':>7}{'p50':>8}{'p99':>8}{'p99.9':>8}"
        f"{'service':>9}{'postgres':>9}{'together':>9}{'stmts':>7}{'MiB':>7}")


def line(one):
    return (f"{one['scenario']:<16}{one['telemetry']:<10}{one['connections']:>8}{one['per_second']:>9.0f}"
            f"{one['floor_ratio']:>7.0%}{one['p50']:>8.2f}{one['p99']:>8.2f}{one['p99.9']:>8.2f}{one['service_us']:>9.1f}"
            f"{one['postgres_us']:>9.1f}{one['together_us']:>9.1f}{one['statements']:>7.3f}{one['resident_mib']:>7.1f}")


def prepare(how_much):
    """Seeds, and gives tokens and slugs."""
    servers.migrate()
    print(f"writing {how_much['articles']} articles …", flush=True)
    seed.articles(how_much["articles"])
    print("registering people …", flush=True)
    service = servers.Service("off", None, workers=False)
    tokens = seed.people(service.host)
    service.stop()
    seed.follows()
    slugs = [slug for slug, in seed.sql("select slug from articles order by random() limit 10000")]
    for name, lines in (("tokens", tokens), ("slugs", slugs)):
        with open(f"{servers.DATA}/{name}", "w") as file:
            file.writelines(f"{line}\n" for line in lines)
    return tokens, slugs


def rounds(scenario, telemetry, receiver, how_much, floors, open_loop):
    """All measurements of a scenario with one kind of telemetry, on a service of their own."""
    service = servers.Service(telemetry, receiver.host, scenario.workers)
    scenario = next(one for one in scenarios.all_of_them(service.host, *open_loop["seeded"]) if one.name == scenario.name)
    postgres = servers.postgres()
    measure.load(service.host, scenario, 64, 1.5)
    results = []
    for connections in how_much["connections"]:
        taken = [measure.measure(service, postgres, scenario, connections, how_much["seconds"])
                 for _ in range(how_much["rounds"])]
        one = {"scenario": scenario.name, "telemetry": telemetry, "connections": connections, "bar": scenario.bar,
               **measure.median(taken), "rounds": taken}
        one["floor_ratio"] = one["per_second"] / floors[connections]["per_second"]
        if connections == 64 and scenario.paths:
            rate = max(1, int(one["per_second"] / 2))
            one["open_loop"] = {"rate": rate, **measure.load(service.host, scenario, connections, how_much["seconds"], rate)}
        print(line(one), flush=True)
        results.append(one)
    service.stop()
    # What nobody works on here is nothing to the next.
    seed.sql("delete from jobs; delete from articles where slug not like 'seeded-%'; vacuum analyze;")
    return results


def main():
    arguments = argparse.ArgumentParser(prog="loadtest/run.sh", description=__doc__)
    arguments.add_argument("scenario", nargs="*", help="all when none is named")
    arguments.add_argument("--list", action="store_true", help="name the scenarios")
    asked = arguments.parse_args()
    unknown = set(asked.scenario) - set(scenarios.NAMES)
    if asked.list or unknown:
        print("\n".join(scenarios.NAMES))
        sys.exit(f"loadtest: there is no scenario {', '.join(sorted(unknown))}" if unknown else 0)
    how_much, machine = measure.settings(), processor.machine()
    seeded = prepare(how_much)
    receiver = servers.Floor()
    floors = {count: measure.floor(receiver, count, how_much["seconds"], how_much["rounds"])
              for count in how_much["connections"]}
    for count, one in floors.items():
        print(f"floor at {count} connections: {one['per_second']:.0f} requests/s, {one['us']:.1f} µs each")
    print("\nmilliseconds, and processor microseconds a request; medians\n" + HEAD, flush=True)
    results = []
    for name in asked.scenario or scenarios.NAMES:
        # Its own service says where its pages are; here only the name and the kind matter.
        kind = scenarios.Scenario(name, workers=name == "mix")
        for telemetry in how_much["telemetry"]:
            results += rounds(kind, telemetry, receiver, how_much, floors, {"seeded": seeded})
    receiver.stop()
    whole = {"machine": machine, "settings": how_much, "floor": floors, "results": results}
    place = os.environ["RESULTS"]
    with open(f"{place}/results.json", "w") as file:
        json.dump(whole, file, indent=1)
    report.write(whole, f"{place}/report.html")
    missed = report.bars(whole)
    print(f"\n{missed}\n{place}/results.json, {place}/report.html")


main()
