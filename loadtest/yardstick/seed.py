"""What is there before anything is measured: authors, articles of about 1 KB, people with tokens."""

import concurrent.futures
import json
import os
import subprocess
import sys
import urllib.request

from . import servers

AUTHORS = 50
PEOPLE = 512
FOLLOWED = 1000
# How many articles have the same last word: a search finds as many however many there are.
ALIKE = 25
# Different texts, but for their last word.
BODIES = 100
WORDS = "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et dolore".split()


def sql(text):
    """Runs statements and gives the last one's rows."""
    done = subprocess.run(["psql", os.environ["DATABASE_URL"], "-qAtX", "-v", "ON_ERROR_STOP=1"], input=text,
                          capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"loadtest: {done.stderr.strip()}")
    return [line.split("|") for line in done.stdout.splitlines()]


def last_words_of(count):
    """How many last words there are among so many articles."""
    return max(1, count // ALIKE)


def articles(count):
    """Writes authors and their articles, straight into the database: over HTTP a million would take an hour.

    Each brings what it is found by, as the service does: PostgreSQL would take longer for that than for all else.
    """
    words = "array[" + ", ".join(f"'{word}'" for word in WORDS) + "]"
    text, last_words = " ".join(WORDS), last_words_of(count)
    sql(f"""
        insert into users (email, name, password_hash)
        select 'author-' || n || '@example.com', 'Author ' || n, 'none' from generate_series(1, {max(AUTHORS, FOLLOWED)}) n;
        with bodies as materialized (
            select v, string_agg(({words})[1 + (v * 7 + w * 13) % {len(WORDS)}], ' ' order by w) as body
            from generate_series(0, {BODIES - 1}) v, generate_series(1, 160) w
            group by v
        )
        insert into articles (author_id, slug, title, description, body, search, created_at)
        select (select min(id) from users where email like 'author-%@example.com') + n % {AUTHORS},
               'seeded-' || n, 'Seeded ' || n, 'An article of about a kilobyte', body || ' word' || n % {last_words},
               array_to_tsvector((select tsvector_to_array(to_tsvector('english', '{text}'))) || ('word' || n % {last_words})),
               now() - make_interval(secs => {count} - n)
        from generate_series(1, {count}) n
        join bodies on v = n % {BODIES}
        order by n;
        vacuum analyze;
        -- What was written here is not to be written out while something is measured.
        checkpoint;""")


def _register(host, number):
    body = {"email": f"person-{number}@example.com", "name": f"Person {number}", "password": "a long password of theirs"}
    request = urllib.request.Request(f"http://{host}/api/register", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        registered = json.loads(answer.read())
    return registered["token"]["access_token"], registered["user"]["id"]


def people(count):
    """Tokens and ids of people who are signed in."""
    service = servers.Service("off", None, workers=False, PASSWORD_WORKERS="2")
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        registered = list(threads.map(lambda number: _register(service.host, number), range(count)))
    service.stop()
    return zip(*registered)


def follows():
    """The first of the people reads as many authors as a feed may reasonably have."""
    sql(f"""
        insert into follows (follower_id, followed_id)
        select (select id from users where email = 'person-0@example.com'), users.id
        from users where email like 'author-%@example.com' order by users.id limit {FOLLOWED};
        analyze follows;""")


def everything(how_much, count):
    """Seeds for so many people, and gives tokens and slugs."""
    servers.migrate()
    print(f"writing {how_much['articles']} articles …", flush=True)
    articles(how_much["articles"])
    print(f"registering {count} people …", flush=True)
    tokens, ids = people(count)
    follows()
    slugs = [slug for slug, in sql("select slug from articles order by random() limit 10000")]
    for name, lines in (("tokens", tokens), ("ids", ids), ("slugs", slugs)):
        with open(f"{servers.DATA}/{name}", "w") as file:
            file.writelines(f"{line}\n" for line in lines)
    return tokens, slugs


def forget():
    """Takes away what a scenario wrote: what nobody works on here is nothing to the next."""
    sql("""
        delete from jobs;
        delete from notifications;
        delete from follows where followed_id in (select id from users where email like 'person-%');
        delete from favorites;
        update articles set favorites_count = 0 where favorites_count > 0;
        delete from articles where id > (select max(id) from articles where slug like 'seeded-%');
        vacuum analyze;""")
