"""The measurement of jobs: see jobs.sh, which sets it up."""

import os
import subprocess
import sys
import time
import uuid

URL = os.environ["DATABASE_URL"]
JOBS, FOLLOWERS = int(os.environ.get("JOBS", 5000)), int(os.environ.get("FOLLOWERS", 20000))
DURATION = float(os.environ.get("DURATION", 10))
MARK = uuid.uuid4().hex[:12]
# What belongs to this run: people whose address bears its mark.
MINE = f"(select id from users where email like '%-{MARK}@example.com')"


def sql(text):
    """Runs statements and gives the last one's rows."""
    done = subprocess.run(["psql", URL, "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", text], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"jobs: {done.stderr.strip()}")
    return [line.split("|") for line in done.stdout.splitlines()]


class Session:
    """A connection that stays: a new one for every few jobs would cost the machine more than the jobs do."""

    def __init__(self):
        self.psql = subprocess.Popen(["psql", URL, "-qAtX", "-v", "ON_ERROR_STOP=1"], stdin=subprocess.PIPE, text=True)

    def send(self, text):
        """Has a statement executed, after those before it; does not wait for it."""
        self.psql.stdin.write(text + ";\n")
        self.psql.stdin.flush()

    def end(self):
        """Waits for what was sent."""
        self.psql.stdin.close()
        if self.psql.wait():
            sys.exit("jobs: psql gave up")


def settled(where):
    """Waits until the jobs there are finished; fails when any of them was given up."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        (left, dead), = sql(f"select count(*) filter (where state in ('scheduled', 'available', 'running')), "
                            f"count(*) filter (where state = 'discarded') from jobs where {where}")
        if int(dead):
            sys.exit(f"jobs: {dead} were given up")
        if not int(left):
            return
        time.sleep(0.2)
    sys.exit("jobs: they do not come to an end")


def leave(session, first, count, offset=0):
    """Leaves jobs that each tell another person that the first one follows them."""
    session.send(f"insert into jobs (kind, args) select 'followed', jsonb_build_object('follower_id', {first}, "
        f"'followed_id', {first} + 1 + ({offset} + n) % {JOBS}) from generate_series(0, {count} - 1) n")


def speed(kind, before):
    """Jobs a second, from the first one's commit to the last one's end; and how many there were."""
    where = f"id > {before} and kind = '{kind}'"
    settled(where)
    (seconds, count), = sql(f"select extract(epoch from max(finished_at) - min(created_at)), count(*) from jobs where {where}")
    return int(count) / float(seconds), int(count), float(seconds)


def last():
    (newest,), = sql("select coalesce(max(id), 0) from jobs")
    return newest


def main():
    people = max(JOBS, FOLLOWERS)
    sql(f"insert into users (email, name, password_hash) select n || '-{MARK}@example.com', 'Load', 'none' from generate_series(0, {people}) n")
    (first,), = sql(f"select min(id) from users where id in {MINE}")
    first = int(first)
    sql(f"insert into follows (follower_id, followed_id) select {first} + n, {first} from generate_series(1, {people}) n")

    sql(f"insert into follows (follower_id, followed_id) select {first}, {first} + n from generate_series(1, {JOBS}) n")

    print(f"{JOBS} jobs of one notification each, to as many people …", flush=True)
    before = last()
    session = Session()
    leave(session, first, JOBS)
    session.end()
    many, *_ = speed("followed", before)
    print(f"  {many:.0f} jobs, and as many notifications, a second")

    print(f"an article with {FOLLOWERS} followers …", flush=True)
    before = last()
    sql(f"with a as (insert into articles (author_id, slug, title, body) values ({first}, 'load-{MARK}', 'Load', 'x') returning id) "
        "insert into jobs (kind, args) select 'article_published', jsonb_build_object('article_id', id) from a")
    _, chunks, seconds = speed("article_published", before)
    print(f"  {people / seconds:.0f} notifications a second, in {chunks} jobs")

    rate = many / 2
    print(f"half that load: {rate:.0f} jobs a second for {DURATION:.0f} s …", flush=True)
    session = Session()
    before, start, left = last(), time.monotonic(), 0
    while time.monotonic() - start < DURATION:
        due = int((time.monotonic() - start) * rate) - left
        if due > 0:
            leave(session, first, due, left)
            left += due
        time.sleep(0.01)
    session.end()
    speed("followed", before)
    waits = f"select extract(epoch from started_at - created_at) * 1000 as w from jobs where id > {before} and kind = 'followed'"
    (p50, p99, worst), = sql("select percentile_cont(0.5) within group (order by w), percentile_cont(0.99) within group (order by w), "
                             f"max(w) from ({waits}) x")
    print(f"  {left} jobs; from commit to start p50 {float(p50):.1f} ms, p99 {float(p99):.1f} ms, slowest {float(worst):.1f} ms")


main()
