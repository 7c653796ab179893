"""What is there before anything is measured: authors, articles of about 1 KB, people with tokens."""

import concurrent.futures
import json
import os
import subprocess
import sys
import time
import urllib.request

AUTHORS = 50
PEOPLE = 512
FOLLOWED = 1000
WORDS = "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et dolore".split()


def sql(text):
    """Runs statements and gives the last one's rows."""
    done = subprocess.run(["psql", os.environ["DATABASE_URL"], "-qAtX", "-v", "ON_ERROR_STOP=1"], input=text,
                          capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"loadtest: {done.stderr.strip()}")
    return [line.split("|") for line in done.stdout.splitlines()]


def articles(count):
    """Writes authors and their articles, straight into the database: over HTTP a million would take an hour."""
    words = "array[" + ", ".join(f"'{word}'" for word in WORDS) + "]"
    sql(f"""
        insert into users (email, name, password_hash)
        select 'author-' || n || '@example.com', 'Author ' || n, 'none' from generate_series(1, {max(AUTHORS, FOLLOWED)}) n;
        insert into articles (author_id, slug, title, description, body, created_at)
        select (select min(id) from users where email like 'author-%@example.com') + n % {AUTHORS},
               'seeded-' || n, 'Seeded ' || n, 'An article of about a kilobyte',
               (select string_agg(({words})[1 + (n * 7 + w * 13 + n / 97) % {len(WORDS)}], ' ') from generate_series(1, 160) w)
                   || ' word' || n % 5000,
               now() - make_interval(secs => {count} - n)
        from generate_series(1, {count}) n;
        vacuum analyze;""")


def _register(host, number):
    body = {"email": f"person-{number}@example.com", "name": f"Person {number}", "password": "a long password of theirs"}
    request = urllib.request.Request(f"http://{host}/api/register", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())["token"]["access_token"]


def people(host):
    """Tokens of people who are signed in."""
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        return list(threads.map(lambda number: _register(host, number), range(PEOPLE)))


def follows():
    """The first of the people reads as many authors as a feed may reasonably have."""
    sql(f"""
        insert into follows (follower_id, followed_id)
        select (select id from users where email = 'person-0@example.com'), users.id
        from users where email like 'author-%@example.com' order by users.id limit {FOLLOWED};
        analyze follows;""")


def settled():
    """Waits until no job is left, so that none is counted to what is measured next."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        (left,), = sql("select count(*) from jobs where state in ('scheduled', 'available', 'running')")
        if not int(left):
            return
        time.sleep(0.2)
    sys.exit("loadtest: the jobs do not come to an end")
