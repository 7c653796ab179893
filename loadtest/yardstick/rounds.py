"""All rounds of one scenario, and what they came to: of the service, of the plain design, of live streams.

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
        # Of streams there is none.
        one["floor_ratio"] = one["per_second"] / floor["per_second"] if floor and not scenario.crowd == "streams" else None
        return one

    def _requests(self, server, scenario, telemetry, bar):
        seconds = self.how_much["seconds"]
        measure.load(server.host, scenario, 64, 1.5)
        for connections in self.how_much["connections"]:
            taken = [measure.measure(server, self.postgres, scenario, connections, seconds)
                     for _ in range(self.how_much["rounds"])]
            one = self._result(scenario, telemetry, connections, taken, bar)
            if connections == 64 and scenario.paths:
                rate = max(1, int(one["per_second"] / 2))
                one["open_loop"] = {"rate": rate, **measure.load(server.host, scenario, connections, seconds, rate)}
            yield one

    def service(self, name, telemetry):
        """Of the service, with one kind of telemetry, at each number of connections."""
        service = servers.Service(telemetry, self.receiver.host, name in scenarios.WITH_WORKERS)
        scenario = self._scenario(name, service.host)
        yield from self._requests(service, scenario, telemetry, scenario.bar)
        service.stop()
        seed.forget()

    def plain(self, name):
        """Of the plain design, which has to answer what the service answers."""
        plain, service = servers.Plain(), servers.Service("off", None, workers=False)
        scenario = self._scenario(name, service.host)
        headers = {"Authorization": f"Bearer {self.seeded[0][0]}"}
        answers = [urllib.request.urlopen(urllib.request.Request(f"http://{host}{scenario.paths[0]}", headers=headers)).read()
                   for host in (plain.host, service.host)]
        service.stop()
        if answers[0] != answers[1]:
            sys.exit(f"loadtest: plain answers otherwise than the service: {answers}")
        yield from self._requests(plain, scenario, "plain", None)
        plain.stop()

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
