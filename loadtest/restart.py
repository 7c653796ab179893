"""The restart drill's driver: see restart.sh, which sets it up."""

import collections
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid

BASE, ADMIN = os.environ["BASE"], os.environ["ADMIN"]
CONNECTIONS, DURATION = os.environ["CONNECTIONS"], float(os.environ["DURATION"])
PER_SECOND = 10
SUPERVISORS = ["root/articles", "root/auth", "root/postgres"]
SLOWEST_MS, MEDIAN_MS = 250, 5


def ask(url, method="GET", body=None, token=None):
    """The status and the JSON of an answer."""
    headers = {"Content-Type": "application/json"} if body else {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, json.dumps(body).encode() if body else None, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")
    except OSError as error:
        sys.exit(f"restart drill: nothing answers at {url}: {error}")


def operator(path, method="GET"):
    return ask(ADMIN + path, method, token=os.environ.get("ADMIN_TOKEN"))


def actors(node):
    """The paths of all actors that are no supervisors."""
    children = node.get("children", [])
    own = [] if node["kind"] == "supervisor" else [node["path"]]
    return own + [path for child in children for path in actors(child)]


def crash(path, asked, refused):
    status, answer = operator(f"/actors/{path}/crash", "POST")
    if status == 403:
        sys.exit("restart drill: start the service with CHAOS_ENABLED=true")
    (asked if status == 202 else refused)[path] += 1
    if status not in (202, 404):
        print(f"crash of {path}: {status} {answer}", file=sys.stderr)


def crash_in_turn(paths, supervisors, asked, refused):
    """Ten crashes a second, at their times and not after one another; none twice within a second."""
    assert len(paths) > PER_SECOND, "each actor's turn would come again within a second"
    start, turns = time.monotonic(), int(DURATION * PER_SECOND)
    due = {int((number + 1) * turns / (len(supervisors) + 1)): path for number, path in enumerate(supervisors)}
    position = 0
    for turn in range(turns):
        time.sleep(max(0.0, start + turn / PER_SECOND - time.monotonic()))
        if turn in due:
            crash(due[turn], asked, refused)
        else:
            crash(paths[position % len(paths)], asked, refused)
            position += 1


def load(token, slug, folder):
    """Runs oha over four kinds of GETs and gives its report."""
    urls = os.path.join(folder, "urls")
    with open(urls, "w", encoding="utf-8") as file:
        reads = [f"/api/articles/{slug}", f"/api/articles/{slug}", "/api/articles?limit=20", "/api/user"]
        file.write("".join(f"{BASE}{path}\n" for path in reads))
    command = ["oha", "--no-tui", "--output-format", "json", "-z", f"{DURATION}s", "-c", CONNECTIONS,
               "--wait-ongoing-requests-after-deadline", "-H", f"Authorization: Bearer {token}", "--urls-from-file", urls]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def ledger(node, since, expected):
    """This node's restarts since then, once every crash that was asked for is among them."""
    deadline = time.monotonic() + 10
    while True:
        rows, url = [], "/actors/restarts?limit=100"
        while url:
            _, page = operator(url)
            fresh = [row for row in page["restarts"] if row["at"] >= since]
            rows += [row for row in fresh if row["node"] == node]
            url = page["next"] if len(fresh) == len(page["restarts"]) else None
        own = collections.Counter(row["path"] for row in rows if row["reason"] == "crashed")
        if all(own[path] >= count for path, count in expected.items()) or time.monotonic() > deadline:
            return rows, own
        time.sleep(0.1)


def main():
    name = uuid.uuid4().hex[:12]
    status, user = ask(BASE + "/api/register", "POST",
                       {"email": f"drill-{name}@example.com", "name": "Drill", "password": "a long password"})
    assert status == 201, (status, user)
    token = user["token"]["access_token"]
    article = {"title": "Under fire", "description": "in short", "body": "lorem ipsum dolor sit amet " * 38}
    for _ in range(20):
        status, published = ask(BASE + "/api/articles", "POST", article, token)
        assert status == 201, (status, published)
    _, tree = operator("/actors")
    paths, asked, refused = actors(tree["root"]), collections.Counter(), collections.Counter()
    budget = tree["root"]["restarts"]
    # One more than the root allows would rightly end the process.
    supervisors = SUPERVISORS[:budget["max"] - budget["in_window"]]
    since = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    print(f"{len(paths)} actors and {len(supervisors)} supervisors, {PER_SECOND} crashes a second for {DURATION:.0f} s, "
          f"{CONNECTIONS} connections …\n", flush=True)
    crashing = threading.Thread(target=crash_in_turn, args=(paths, supervisors, asked, refused))
    with tempfile.TemporaryDirectory() as folder:
        crashing.start()
        report = load(token, published["slug"], folder)
        crashing.join()
    rows, own = ledger(tree["node"], since, asked)
    sys.exit(verdict(report, rows, own, asked, refused))


def verdict(report, rows, own, asked, refused):
    """Prints the tables; 0 when every bar holds."""
    recovered = collections.defaultdict(list)
    for row in rows:
        if row["reason"] == "crashed" and row["recovered_ms"] is not None:
            recovered[row["path"]].append(row["recovered_ms"])
    print(f"{'actor':<28}{'crashes':>8}{'restarts':>9}{'median ms':>11}{'slowest ms':>11}   death to first answer")
    restarts = collections.Counter(row["path"] for row in rows)
    for path in sorted(asked, key=lambda path: path.split("/")):
        times = recovered[path] or [float("nan")]
        print(f"{path.removeprefix('root/'):<28}{asked[path]:>8}{restarts[path]:>9}{statistics.median(times):>11.2f}{max(times):>11.2f}")
    statuses, errors = report["statusCodeDistribution"], report.get("errorDistribution") or {}
    answered = statuses.get("200", 0)
    failed = sum(statuses.values()) - answered + sum(errors.values())
    slowest = report["summary"]["slowest"] * 1e3
    median = statistics.median([time for times in recovered.values() for time in times])
    lost = sum(max(0, count - own[path]) for path, count in asked.items())
    print(f"\nGETs {answered + failed}, {report['summary']['requestsPerSec']:.0f} a second; statuses {statuses} {errors or ''}")
    print(f"p50 {report['latencyPercentiles']['p50'] * 1e3:.2f} ms, p99 {report['latencyPercentiles']['p99'] * 1e3:.2f} ms, "
          f"p99.9 {report['latencyPercentiles']['p99.9'] * 1e3:.2f} ms")
    print(f"crashes asked for {sum(asked.values())}, of actors that were just away {sum(refused.values())}; "
          f"restarts in the ledger {len(rows)}, {len(rows) - sum(own.values())} of them taken along by a sibling or a supervisor\n")
    bars = [("failed GETs", failed, failed == 0, "0"),
            ("slowest GET, ms", f"{slowest:.1f}", slowest < SLOWEST_MS, f"under {SLOWEST_MS}"),
            ("median recovery, ms", f"{median:.2f}", median < MEDIAN_MS, f"under {MEDIAN_MS}"),
            ("crashes not in the ledger", lost, lost == 0, "0")]
    for name, value, holds, bar in bars:
        print(f"{name:<28}{value:>10}   bar: {bar:<10} {'holds' if holds else 'MISSED'}")
    return 0 if all(holds for _, _, holds, _ in bars) else 1


main()
