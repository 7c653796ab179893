"""All rounds of one scenario, and what they came to: of the service, of the plain design beside it, of live streams.

Each has a service of its own, warms it up, measures some rounds, and leaves the database as it found it.
"""

import sys
import urllib.request

from . import measure, scenarios, seed, servers

# As long as it takes until each stream has had its sign of life, so that these are counted in.
STREAM_SECONDS = 15


class Rounds:
    """What all scenarios of a run have in common."""

    def __init__(self, how_much, seeded, receiver, floors):
        self.how_much, self.seeded, self.receiver, self.floors = how_much, seeded, receiver, floors
        self.postgres = servers.postgres()

    def _scenario(self, name, host):
        return next(one for one in scenarios.all_of_them(host, *self.seeded) if one.name == name)

    def _result(self, scenario, telemetry, connections, taken, bar=None):
        floor = self.floors.get(connections)
        one = {"scenario": scenario.name, "telemetry": telemetry, "connections": connections, "bar": bar,
               **measure.median(taken), "rounds": taken}
        # Streams have none.
        with_floor = floor and scenario.crowd != "streams"
        return {**one, "floor_ratio": one["per_second"] / floor["per_second"] if with_floor else None}

    def _open_loop(self, server, scenario, connections, per_second):
        """What clients see at half of what is possible, who do not wait for one another."""
        rate = max(1, int(per_second / 2))
        return {"rate": rate, **measure.load(server.host, scenario, connections, self.how_much["seconds"], rate)}

    def service(self, name, telemetry):
        """Of the service, with one kind of telemetry, at each number of connections; once beside the plain design."""
        service = servers.Service(telemetry, self.receiver.host, name in scenarios.WITH_WORKERS)
        scenario, measured = self._scenario(name, service.host), [(service, telemetry)]
        if name in scenarios.PLAIN and telemetry == self.how_much["telemetry"][0]:
            measured.append((servers.Plain(), "plain"))
            self._alike(scenario, *(server for server, _ in measured))
        for server, _ in measured:
            measure.load(server.host, scenario, 64, 1.5)
        for connections in self.how_much["connections"]:
            # In turn, so that both meet the machine in the same moods.
            rounds = [[measure.measure(server, self.postgres, scenario, connections, self.how_much["seconds"])
                       for server, _ in measured] for _ in range(self.how_much["rounds"])]
            for (server, kind), taken in zip(measured, zip(*rounds)):
                one = self._result(scenario, kind, connections, taken, scenario.bar if server is service else None)
                if connections == 64 and scenario.paths:
                    one["open_loop"] = self._open_loop(server, scenario, connections, one["per_second"])
                yield one
        for server, _ in measured:
            server.stop()
        seed.forget()

    def _alike(self, scenario, service, plain):
        """The plain design has to answer what the service answers."""
        headers = {"Authorization": f"Bearer {self.seeded[0][0]}"}
        asked = [urllib.request.Request(f"http://{server.host}{scenario.paths[0]}", headers=headers) for server in (service, plain)]
        first, second = (urllib.request.urlopen(request, timeout=10).read() for request in asked)
        if first != second:
            sys.exit(f"loadtest: the service answers {first!r}, but plain {second!r}")

    def streams(self, telemetry):
        """Of the service, while many listen to what they are told."""
        service = servers.Service(telemetry, self.receiver.host, workers=True)
        scenario, count = self._scenario("streams", service.host), self.how_much["streams"]
        def one_round(seconds):
            taken = measure.streams(service, self.postgres, scenario, count, seconds)
            seed.forget()
            return taken
        one_round(1.5)
        seconds = max(self.how_much["seconds"], STREAM_SECONDS)
        yield self._result(scenario, telemetry, count, [one_round(seconds) for _ in range(self.how_much["rounds"])])
        service.stop()
