"""Instructions for a request, counted by callgrind: those of the service's own threads, and nothing of the kernel's.

    service under callgrind ─▶ warmed up ─▶ counts to zero ─▶ requests ─▶ counts ─▶ by request, and by function

What must stay true: answers are the expected ones, and every statement, span and line is made as ever; only time is not
what it is elsewhere, so that batches are somewhat smaller.
"""

import glob
import os
import re
import subprocess
import sys
import time

from . import measure, scenarios, seed, servers

CLIENTS = 64
# Until what was asked for is exported.
EXPORTED_SECONDS = 2


class Counted(servers.Service):
    """The service under callgrind."""

    def __init__(self, telemetry, receiver, counts):
        # What it writes when it ends, of which nothing was asked for, must not take the place of what was counted.
        self.counts, self.rest = counts, f"{counts}.rest"
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={self.rest}", servers.BINARY]
        super().__init__(telemetry, receiver, workers=False, command=command,
                         # Fifty times slower, it would find its own actors stuck.
                         ACTOR_HOLD_MS="600000")

    def control(self, flag):
        done = subprocess.run(["callgrind_control", flag, str(self.pid)], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"loadtest: callgrind_control {flag}: {done.stderr.strip()}")

    def counted(self):
        """Instructions since they were last set to zero."""
        before = set(glob.glob(f"{self.rest}.*"))
        self.control("-d")
        # The newest dump is written when the process comes to it.
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for dump in set(glob.glob(f"{self.rest}.*")) - before:
                with open(dump) as file:
                    found = re.findall(r"^(?:totals|summary): (\d+)", file.read(), re.MULTILINE)
                if found:
                    os.replace(dump, self.counts)
                    return int(found[-1])
            time.sleep(0.1)
        sys.exit("loadtest: callgrind wrote no counts")

    def stop(self):
        super().stop()
        for dump in glob.glob(f"{self.rest}*"):
            os.remove(dump)


def of(name, telemetry, receiver, seeded, requests):
    """Instructions for a request of a scenario."""
    service = Counted(telemetry, receiver.host, f"{os.environ['RESULTS']}/callgrind.{name}.{telemetry}")
    scenario = next(one for one in scenarios.all_of_them(service.host, *seeded) if one.name == name)
    measure.some(service.host, scenario, CLIENTS, requests // 2)
    service.control("-z")
    measure.some(service.host, scenario, CLIENTS, requests)
    time.sleep(EXPORTED_SECONDS)
    counted = service.counted() / requests
    service.stop()
    seed.forget()
    return counted


def main():
    how_much, requests = measure.settings(), int(os.environ.get("REQUESTS", "3000"))
    names = sys.argv[1:] or ["slug", "user"]
    seeded = seed.everything(how_much, CLIENTS)
    by_oha = {one.name for one in scenarios.all_of_them("", *seeded, pages=False) if one.paths}
    if not set(names) <= by_oha:
        sys.exit(f"loadtest: instructions are counted for {', '.join(sorted(by_oha))}")
    receiver = servers.Floor()
    print(f"\n{'scenario':<16}{'telemetry':<10}{'instructions a request':>24}")
    for name in names:
        for telemetry in how_much["telemetry"]:
            print(f"{name:<16}{telemetry:<10}{of(name, telemetry, receiver, seeded, requests):>24.0f}", flush=True)
    receiver.stop()


main()
