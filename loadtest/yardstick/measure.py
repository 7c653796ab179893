"""One measurement: clients for some seconds, and what that took of the processor."""

import json
import os
import statistics
import subprocess
import sys

from . import processor
from .servers import DATA, TOOLS


class Reading:
    """What service and PostgreSQL have taken so far, until it is asked what they took since."""

    def __init__(self, service, postgres):
        self.service, self.postgres, self.counted = service, postgres, service.metrics()
        self.own, self.theirs = processor.of(service.pid), processor.of_family(postgres)

    def since(self, seen):
        """The figures of a measurement in which clients saw this."""
        own, theirs = processor.of(self.service.pid) - self.own, processor.of_family(self.postgres) - self.theirs
        counted, requests = self.service.metrics(), seen.pop("requests")
        return {**seen, "service_us": own / requests * 1e6, "postgres_us": theirs / requests * 1e6,
                "together_us": (own + theirs) / requests * 1e6,
                "statements": (counted["statements"] - self.counted["statements"]) / requests,
                "spans_lost": counted["lost"] - self.counted["lost"],
                "resident_mib": processor.memory(self.service.pid)[0] / 2**20}


def _oha(host, scenario, connections, how_long, rate=None):
    listed = f"{DATA}/urls"
    with open(listed, "w") as file:
        file.writelines(f"http://{host}{path}\n" for path in scenario.paths)
    command = ["oha", "--no-tui", "--output-format", "json", *how_long, "-c", str(connections),
               "--wait-ongoing-requests-after-deadline", *scenario.arguments]
    if not scenario.gzip:
        command.append("--disable-compression")
    if rate:
        command += ["-q", str(rate), "--latency-correction"]
    return command + ["--urls-from-file", listed]


def crowd(host, scenario, connections, seconds):
    """How the crowd is called."""
    others = "ids" if scenario.crowd == "streams" else "slugs"
    return [f"{TOOLS}/crowd", scenario.crowd, host, str(connections), str(seconds), f"{DATA}/tokens", f"{DATA}/{others}"]


def seen_by(scenario, output):
    """What clients saw, from what they print. Any answer but the right one ends the load test."""
    seen = json.loads(output)
    statuses, errors = seen["statusCodeDistribution"], seen.get("errorDistribution") or {}
    # At the end oha drops what is under way when a rate was asked for.
    errors = {error: count for error, count in errors.items() if "deadline" not in error}
    if set(statuses) != {scenario.expected} or errors:
        sys.exit(f"loadtest: {scenario.name}: expected only {scenario.expected}, got {statuses} {errors}")
    millis = {share: (seen["latencyPercentiles"][share] or 0) * 1e3 for share in ("p50", "p99", "p99.9")}
    return {"requests": sum(statuses.values()), "per_second": seen["summary"]["requestsPerSec"], **millis}


def load(host, scenario, connections, seconds, rate=None):
    """Has clients ask, and gives what they saw."""
    by_oha = bool(scenario.paths)
    how_long = ["-z", f"{seconds}s"]
    return _seen(scenario, _oha(host, scenario, connections, how_long, rate) if by_oha else crowd(host, scenario, connections, seconds))


def some(host, scenario, connections, requests):
    """Has oha ask so many times, however long that takes."""
    return _seen(scenario, _oha(host, scenario, connections, ["-n", str(requests), "-t", "120s"]))


def _seen(scenario, command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"loadtest: {scenario.name}: {done.stderr.strip()}")
    return seen_by(scenario, done.stdout)


def measure(service, postgres, scenario, connections, seconds):
    """One round."""
    reading = Reading(service, postgres)
    return reading.since(load(service.host, scenario, connections, seconds))


def streams(service, postgres, scenario, count, seconds):
    """One round with streams that are open before it begins and after it ends."""
    command = crowd(service.host, scenario, count, seconds)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as listening:
        def said():
            line = listening.stdout.readline()
            return line or sys.exit(f"loadtest: {scenario.name}: {listening.stderr.read().strip()}")
        said()
        reading = Reading(service, postgres)
        listening.stdin.write("begin\n")
        listening.stdin.flush()
        return reading.since(seen_by(scenario, said()))


def median(rounds):
    """Of each figure by itself."""
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def floor(floor_server, connections, seconds):
    """Requests a second of the bare server, and what one costs it."""
    class Bare:
        name, paths, arguments, expected, gzip = "floor", ["/"], [], "200", False
    before = processor.of(floor_server.pid)
    seen = load(floor_server.host, Bare, connections, seconds)
    took = processor.of(floor_server.pid) - before
    return {"per_second": seen["per_second"], "us": took / seen["requests"] * 1e6, "p50": seen["p50"]}


def settings():
    """How much is measured."""
    read = lambda name, default: os.environ.get(name, default)
    return {"connections": [int(count) for count in read("CONNECTIONS", "1 8 64 512").split()],
            "telemetry": read("TELEMETRY", "off tenth full").split(), "rounds": int(read("ROUNDS", "3")),
            "seconds": float(read("SECONDS_EACH", "5")), "articles": int(read("ARTICLES", "1000")),
            "streams": int(read("STREAMS", "1000"))}
