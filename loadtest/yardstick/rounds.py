"""All rounds of one scenario, and what they came to: of the service with each kind of telemetry, of the floor and the plain
design beside it, of live streams.

    services, warmed up ─▶ the floor, then each of them, in turn ─▶ … as many rounds as are wanted ─▶ medians

What is compared is measured in turn, so that all meet the machine in the same moods: what holds a minute later is another
cost. So shares of the floor, and what one kind of telemetry costs more than another, are taken within a round, and the
median is of these. What was written is taken away after each measurement, but for the mix, whose jobs may be under way.
Where jobs are done, one service runs at a time, for each would do the others' jobs.
"""

import sys
import urllib.request

from . import measure, scenarios, seed, servers

# As long as it takes until each stream has had its sign of life, so that these are counted in.
STREAM_SECONDS = 15


class Rounds:
    """What all scenarios of a run have in common."""

    def __init__(self, how_much, seeded, receiver):
        self.how_much, self.seeded, self.receiver = how_much, seeded, receiver
        self.postgres = servers.postgres()

    def _scenario(self, name, host):
        return next(one for one in scenarios.all_of_them(host, *self.seeded) if one.name == name)

    def _result(self, scenario, telemetry, connections, taken, bar=None):
        return {"scenario": scenario.name, "telemetry": telemetry, "connections": connections, "bar": bar,
                **measure.median(taken), "rounds": taken}

    def _open_loop(self, server, scenario, per_second):
        """What clients see at half of what is possible, who do not wait for one another."""
        rate = max(1, int(per_second / 2))
        seen = measure.load(server.host, scenario, 64, self.how_much["seconds"], rate)
        self._forget(scenario)
        return {"rate": rate, **seen}

    def of(self, name):
        """Of the service, with each kind of telemetry, at each number of connections."""
        kinds = self.how_much["telemetry"]
        if name == "streams":
            for telemetry in kinds:
                yield self._streams(telemetry)
        elif name in scenarios.WITH_WORKERS:
            for telemetry in kinds:
                yield from self._in_turn(name, [telemetry])
        else:
            yield from self._in_turn(name, kinds)

    def _in_turn(self, name, kinds):
        """Services with these kinds of telemetry, and the plain design where it answers this."""
        measured = [(servers.Service(kind, self.receiver.host, name in scenarios.WITH_WORKERS), kind) for kind in kinds]
        scenario = self._scenario(name, measured[0][0].host)
        if name in scenarios.PLAIN:
            measured.append((servers.Plain(), "plain"))
            self._alike(scenario, measured[0][0], measured[-1][0])
        for server, _ in measured:
            measure.load(server.host, scenario, 64, 1.5)
        self._forget(scenario)
        for connections in self.how_much["connections"]:
            rounds = [self._round(measured, scenario, connections) for _ in range(self.how_much["rounds"])]
            for (server, kind), taken in zip(measured, zip(*rounds)):
                one = self._result(scenario, kind, connections, taken, scenario.bar if kind != "plain" else None)
                if connections == 64 and scenario.paths:
                    one["open_loop"] = self._open_loop(server, scenario, one["per_second"])
                yield one
        for server, _ in measured:
            server.stop()
        seed.forget()

    def _round(self, measured, scenario, connections):
        """One measurement of each, beside the floor."""
        seconds, taken = self.how_much["seconds"], []
        floor = measure.floor(self.receiver, connections, seconds)
        for server, _ in measured:
            one = measure.measure(server, self.postgres, scenario, connections, seconds)
            self._forget(scenario)
            taken.append({**one, "floor": floor["per_second"], "floor_us": floor["us"], "floor_p50": floor["p50"],
                          "floor_ratio": one["per_second"] / floor["per_second"]})
        return taken

    def _forget(self, scenario):
        """What it wrote, which the next measurement shall not meet."""
        if scenario.writes:
            seed.forget()

    def _alike(self, scenario, service, plain):
        """The plain design has to answer what the service answers."""
        headers = {"Authorization": f"Bearer {self.seeded[0][0]}"}
        asked = [urllib.request.Request(f"http://{server.host}{scenario.paths[0]}", headers=headers) for server in (service, plain)]
        first, second = (urllib.request.urlopen(request, timeout=10).read() for request in asked)
        if first != second:
            sys.exit(f"loadtest: the service answers {first!r}, but plain {second!r}")

    def _streams(self, telemetry):
        """Of the service, while many listen to what they are told."""
        service = servers.Service(telemetry, self.receiver.host, workers=True)
        scenario, count = self._scenario("streams", service.host), self.how_much["streams"]
        def one_round(seconds):
            taken = measure.streams(service, self.postgres, scenario, count, seconds)
            seed.forget()
            return taken
        one_round(1.5)
        seconds = max(self.how_much["seconds"], STREAM_SECONDS)
        result = self._result(scenario, telemetry, count, [one_round(seconds) for _ in range(self.how_much["rounds"])])
        service.stop()
        return result
