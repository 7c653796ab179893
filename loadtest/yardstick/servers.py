"""What runs while it is measured: the service, the floor, and a receiver of telemetry."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

BINARY, TOOLS, DATA = os.environ["BINARY"], os.environ["TOOLS"], os.environ["DATA"]
TELEMETRY = {
    "off": {},
    "tenth": {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"},
    "full": {"OTEL_TRACES_SAMPLER": "parentbased_always_on"},
}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def ready(url):
    """Waits until it answers."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (OSError, urllib.error.HTTPError):
            time.sleep(0.05)
    sys.exit(f"loadtest: nothing answers at {url}")


class Floor:
    """The bare server; also the receiver of telemetry."""

    def __init__(self, size=1500):
        self.host = f"127.0.0.1:{free_port()}"
        self.process = subprocess.Popen([f"{TOOLS}/floor", self.host, str(size)])
        ready(f"http://{self.host}/")

    def stop(self):
        self.process.kill()
        self.process.wait()


class Service:
    """The service, with telemetry off, sampled or full. Without workers it costs what its requests do."""

    def __init__(self, telemetry, receiver, workers):
        self.host, self.admin = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        settings = {"HTTP_ADDR": self.host, "ADMIN_ADDR": self.admin, "RATE_LIMITS": "off", "LOG_FORMAT": "json",
                    "JWT_SECRET": "a secret that is long enough for a load test", "ACCESS_TOKEN_SECONDS": "86400",
                    "LIVE_STREAMS_PER_USER": "64", "SHUTDOWN_DELAY_MS": "0"}
        if telemetry != "off":
            settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://{receiver}"
        self.log = open(f"{DATA}/service.log", "ab")
        self.process = subprocess.Popen([BINARY, "serve"] + ([] if workers else ["--no-workers"]), env={**os.environ, **settings, **TELEMETRY[telemetry]},
                                        stdout=self.log, stderr=self.log)
        ready(f"http://{self.admin}/readyz")

    @property
    def pid(self):
        return self.process.pid

    def metrics(self):
        """Statements so far, and spans that were lost so far."""
        with urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        def total(*parts):
            return sum(float(line.rpartition(" ")[2]) for line in lines
                       if not line.startswith("#") and all(part in line for part in parts))
        return {"statements": total("db_client_operation_batch_size_count"), "lost": total("queue_full")}

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(timeout=60):
            sys.exit(f"loadtest: the service failed; its log is {DATA}/service.log")
        self.log.close()


def migrate():
    settings = {"JWT_SECRET": "a secret that is long enough for a load test"}
    done = subprocess.run([BINARY, "migrate"], env={**os.environ, **settings}, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"loadtest: migrating failed: {done.stdout}{done.stderr}")


def postgres():
    """The process id of the private PostgreSQL."""
    with open(f"{DATA}/.callboard/postgres/postmaster.pid") as file:
        return int(file.readline())
