"""What is asked. Each scenario says who asks (oha, or the crowd where clients differ), and what the right answer is."""

import dataclasses
import json
import random
import urllib.request

from . import seed

ARTICLE = json.dumps({"title": "Under load", "description": "An article of about a kilobyte",
                      "body": "lorem ipsum dolor sit amet " * 38})
LOGIN = json.dumps({"email": "person-1@example.com", "password": "a long password of theirs"})


@dataclasses.dataclass
class Scenario:
    """One of them."""

    name: str
    # Paths to ask in any order, for oha; or the crowd's scenario.
    paths: list = dataclasses.field(default_factory=list)
    crowd: str = ""
    arguments: list = dataclasses.field(default_factory=list)
    expected: str = "200"
    # Processor microseconds of service and PostgreSQL a request, at 64 connections with telemetry in full.
    bar: float | None = None
    # Whether answers are asked for compressed.
    gzip: bool = False
    # Whether it writes what the next measurement shall not meet.
    writes: bool = False


def _pages(host, path, token, count):
    """The addresses of pages, each found by the one before it."""
    found, headers = [], {"Authorization": f"Bearer {token}"}
    while path and len(found) < count:
        found.append(path)
        request = urllib.request.Request(f"http://{host}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            following = json.loads(answer.read())["next"]
        path = following.replace(f"http://{host}", "") if following else None
    return found


def all_of_them(host, tokens, slugs, pages=True):
    """The scenarios, for a service at `host`; without `pages` it need not run."""
    bearer = ["-H", f"Authorization: Bearer {tokens[0]}"]
    posted = ["-m", "POST", "-T", "application/json"]
    offsets = random.Random(7).sample(range(min(len(slugs), 1000) - 20), 500)
    first = "/api/articles?limit=20&cursor="
    # As many whatever there is, for those who ask alike at once share an answer.
    words = min(40, seed.last_words_of(len(slugs)))
    cursors = _pages(host, first, tokens[0], 50) if pages else [first]
    return [
        Scenario("slug", [f"/api/articles/{slug}" for slug in slugs[:10000]], bar=30),
        Scenario("slug-hot", [f"/api/articles/{slugs[0]}"]),
        Scenario("slug-gzip", [f"/api/articles/{slug}" for slug in slugs[:10000]], gzip=True),
        Scenario("user", ["/api/user"], arguments=bearer, bar=30),
        Scenario("list-same", ["/api/articles?limit=20"], bar=45),
        Scenario("list-different", [f"/api/articles?limit=20&offset={offset}" for offset in offsets], bar=250),
        Scenario("list-cursor", cursors),
        Scenario("feed", ["/api/articles/feed?limit=20"], arguments=bearer),
        Scenario("search", [f"/api/articles?limit=20&search=word{number}" for number in range(words)]),
        Scenario("publish", ["/api/articles"], arguments=[*posted, *bearer, "-d", ARTICLE], expected="201", bar=200,
                 writes=True),
        Scenario("favorite-hot", crowd="favorite-hot", expected="expected", bar=80, writes=True),
        Scenario("favorite-spread", crowd="favorite-spread", expected="expected", writes=True),
        Scenario("login", ["/api/login"], arguments=[*posted, "-d", LOGIN]),
        Scenario("mix", crowd="mix", expected="expected"),
        Scenario("streams", crowd="streams", expected="expected"),
    ]


# `statements` asks no service: it has pgbench execute what the service does.
NAMES = ["slug", "slug-hot", "slug-gzip", "user", "list-same", "list-different", "list-cursor", "feed", "search", "publish",
         "favorite-hot", "favorite-spread", "login", "mix", "streams", "statements"]
# Here jobs are done meanwhile, and count.
WITH_WORKERS = {"mix", "streams"}
# The plain design answers these, too.
PLAIN = {"slug", "user"}
