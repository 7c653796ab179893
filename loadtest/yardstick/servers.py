"""What runs while it is measured: the service, the floor, and a receiver of telemetry."""

import atexit
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

BINARY, TOOLS, DATA = os.environ["BINARY"], os.environ["TOOLS"], os.environ["DATA"]
SECRET = "a secret that is long enough for a load test"
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


def counted(url):
    """Statements so far, and spans that were lost so far, from metrics in Prometheus' format."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    def total(part):
        return sum(float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#") and part in line)
    return {"statements": total("db_client_operation_batch_size_count"), "lost": total("queue_full")}


def start(command, **more):
    """A process that ends with us, also when a measurement is given up."""
    process = subprocess.Popen(command, **more)
    atexit.register(process.kill)
    return process


class Tool:
    """One of our own servers, by its name."""

    def __init__(self, name, *arguments):
        self.host = f"127.0.0.1:{free_port()}"
        self.process = start([f"{TOOLS}/{name}", self.host, *arguments])

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        self.process.kill()
        self.process.wait()


class Floor(Tool):
    """The bare server; also the receiver of telemetry."""

    def __init__(self, size=1500):
        super().__init__("floor", str(size))
        ready(f"http://{self.host}/")


class Plain(Tool):
    """The plain design to compare with."""

    def __init__(self):
        super().__init__("plain", os.environ["DATABASE_URL"], SECRET)
        ready(f"http://{self.host}/metrics")

    def metrics(self):
        return counted(f"http://{self.host}/metrics")


class Service:
    """The service, with telemetry off, sampled or full. Without workers it costs what its requests do."""

    def __init__(self, telemetry, receiver, workers, command=(BINARY,), **more):
        self.host, self.admin = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        settings = {"HTTP_ADDR": self.host, "ADMIN_ADDR": self.admin, "RATE_LIMITS": "off", "LOG_FORMAT": "json",
                    "JWT_SECRET": SECRET, "ACCESS_TOKEN_SECONDS": "86400", "SHUTDOWN_DELAY_MS": "0",
                    # All clients have one address here, and may all log in at once.
                    "HTTP_MAX_CONNECTIONS_PER_ADDRESS": "10000", "PASSWORD_QUEUE": "1024", **more}
        if telemetry != "off":
            settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://{receiver}"
        self.log = open(f"{DATA}/service.log", "ab")
        self.process = start([*command, "serve"] + ([] if workers else ["--no-workers"]),
                             env={**os.environ, **settings, **TELEMETRY[telemetry]}, stdout=self.log, stderr=self.log)
        ready(f"http://{self.admin}/readyz")

    @property
    def pid(self):
        return self.process.pid

    def metrics(self):
        return counted(f"http://{self.admin}/metrics")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(timeout=60):
            sys.exit(f"loadtest: the service failed; its log is {DATA}/service.log")
        self.log.close()


def migrate():
    done = subprocess.run([BINARY, "migrate"], env={**os.environ, "JWT_SECRET": SECRET}, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"loadtest: migrating failed: {done.stdout}{done.stderr}")


def postgres():
    """The process id of the private PostgreSQL."""
    with open(f"{DATA}/.callboard/postgres/postmaster.pid") as file:
        return int(file.readline())
