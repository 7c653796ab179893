"""Has the service do whatever is measured, for a compiler that is to see it: nothing is measured."""

from . import measure, scenarios, seed, servers

CLIENTS = 64


def asked(service, scenario, seconds):
    """Many clients, then one: a lone one's requests take ways of their own."""
    return sum(measure.load(service.host, scenario, connections, seconds)["requests"] for connections in (CLIENTS, 1))


def main():
    how_much = measure.settings()
    seeded = seed.everything(how_much, seed.PEOPLE)
    receiver = servers.Floor()
    for telemetry in how_much["telemetry"]:
        # Jobs are done meanwhile, as they are where it runs.
        service = servers.Service(telemetry, receiver.host, workers=True)
        for scenario in scenarios.all_of_them(service.host, *seeded):
            # Streams wait, and what they are told is asked for by others.
            if scenario.crowd != "streams":
                print(f"{telemetry:<8}{scenario.name:<18}{asked(service, scenario, how_much['seconds']):>8}", flush=True)
        # It writes its counts when it ends.
        service.stop()
        seed.forget()
    receiver.stop()


main()
