"""The measurement among hostile clients: see hostile.sh, which sets it up."""

import json
import os
import random
import selectors
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
import uuid

BASE = os.environ["BASE"]
CONNECTIONS, DURATION = os.environ["CONNECTIONS"], os.environ["DURATION"]
IDLE, SLOW = int(os.environ["IDLE"]), int(os.environ["SLOW"])
PLACE = urllib.parse.urlparse(BASE)
ADDRESS = (PLACE.hostname, PLACE.port or 80)
over = threading.Event()
told = {"idle lost": 0, "slow cut off": 0, "floods cut off": 0, "requests reset": 0}


def ask(path, body, token=None):
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(BASE + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())


def crowd(count, opening, drip, name):
    """Keeps so many connections open, each sending a byte a second if it drips, and opens another for each that ends."""
    selector, ages = selectors.DefaultSelector(), {}

    def join():
        connection = socket.create_connection(ADDRESS)
        connection.sendall(opening)
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ)
        ages[connection] = time.monotonic() + random.random()

    def leave(connection):
        selector.unregister(connection)
        del ages[connection]
        connection.close()
        told[name] += 1

    while not over.is_set():
        for _ in range(min(200, count - len(ages))):
            try:
                join()
            except OSError:
                break
        for key, _ in selector.select(0.05):
            try:
                if not key.fileobj.recv(65536):
                    leave(key.fileobj)
            except OSError:
                leave(key.fileobj)
        now = time.monotonic()
        for connection in [one for one, due in ages.items() if drip and due < now]:
            ages[connection] = now + 1
            try:
                connection.send(b"x")
            except OSError:
                leave(connection)


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def flood():
    """HTTP/2: asks and takes it back in the same breath, as fast as the server lets it, on one connection after another."""
    path = b"/api/articles"
    block = b"\x82\x86\x04" + bytes([len(path)]) + path + b"\x01\x01x"
    while not over.is_set():
        try:
            with socket.create_connection(ADDRESS) as connection:
                connection.settimeout(5)
                connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b""))
                number = 1
                while not over.is_set():
                    both = (frame(1, 5, number + 2 * n, block) + frame(3, 0, number + 2 * n, struct.pack(">I", 8)) for n in range(100))
                    connection.sendall(b"".join(both))
                    told["requests reset"] += 100
                    number += 200
        except OSError:
            told["floods cut off"] += 1
            time.sleep(0.01)


def load(url):
    command = ["oha", "--no-tui", "--output-format", "json", "-z", f"{DURATION}s", "-c", CONNECTIONS,
               "--wait-ongoing-requests-after-deadline", url]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def main():
    person = {"email": f"hostile-{uuid.uuid4().hex[:12]}@example.com", "name": "Load", "password": "a long password"}
    token = ask("/api/register", person)["token"]["access_token"]
    slug = ask("/api/articles", {"title": "Under siege", "body": "lorem ipsum " * 80}, token)["slug"]
    url = f"{BASE}/api/articles/{slug}"
    load(url)
    rows = [("undisturbed", load(url))]
    head = b"GET /api/articles HTTP/1.1\r\nX: "
    body = (f"POST /api/articles HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n").encode()
    crowds = [(IDLE, b"", False, "idle lost"), (SLOW, head, True, "slow cut off"), (SLOW, body, True, "slow cut off")]
    siege = [threading.Thread(target=crowd, args=arguments, daemon=True) for arguments in crowds]
    for thread in siege:
        thread.start()
    time.sleep(3)
    rows.append((f"{IDLE} idle, {2 * SLOW} slow", load(url)))
    attacker = threading.Thread(target=flood, daemon=True)
    attacker.start()
    rows.append(("… and resets", load(url)))
    over.set()
    for thread in [*siege, attacker]:
        thread.join()
    time.sleep(1)
    rows.append(("afterwards", load(url)))
    verdict(rows)


def verdict(rows):
    sound, medians = True, []
    print(f"{'':<24}{'requests/s':>11}{'p50 ms':>9}{'p99 ms':>9}{'slowest ms':>12}  statuses")
    for name, report in rows:
        statuses, errors = report["statusCodeDistribution"], report.get("errorDistribution") or {}
        millis = {q: report["latencyPercentiles"][q] * 1e3 for q in ("p50", "p99")}
        medians.append(millis["p50"])
        print(f"{name:<24}{report['summary']['requestsPerSec']:>11.0f}{millis['p50']:>9.2f}{millis['p99']:>9.2f}"
              f"{report['summary']['slowest'] * 1e3:>12.1f}  {statuses} {errors or ''}")
        sound &= set(statuses) == {"200"} and not errors
    print("\n" + ", ".join(f"{what} {count}" for what, count in told.items()))
    print(f"median among the idle and the slow: {medians[1] / medians[0]:.2f} times the undisturbed one")
    sys.exit(0 if sound else "hostile: MISSED: not every request was answered with 200")


main()
