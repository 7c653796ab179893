"""What the service's statements cost by themselves: pgbench executes them, and /proc says what that took.

The text is the service's own (sql/queries), with what stands for its parameters put in their places, so that both can
never differ. Each is measured alone, and serving 25 at once, as gathered requests are. What must stay true: whatever a
statement is to do, it finds it to be done, since one that does nothing is cheap.
"""

import dataclasses
import glob
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import time

from . import processor, seed, servers
from .servers import DATA

QUERIES = os.path.join(os.path.dirname(__file__), "..", "..", "sql", "queries")
TOGETHER = 25
CLIENTS, SECONDS = 8, 3
# What PostgreSQL's processes need to end when their clients have: only then all of their time is their parent's.
LEAVING = 0.3
# Of each read there are some with other values, drawn by chance. More would cost more to plan than to execute.
VARIANTS = 4
# As the service's connections are set up: those for reads by key, and those for writes.
WRITING = "-c jit=off -c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_bitmapscan=off"
BY_KEY = f"{WRITING} -c enable_hashjoin=off -c enable_mergejoin=off -c enable_memoize=off"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
BODY = "lorem ipsum dolor sit amet " * 38
# What it is found by, as the service writes it: every word with its places. All of them are their own stems.
PLACES = {word: ",".join(str(1301 + place) for place, found in enumerate(BODY.split()) if found == word)
          for word in BODY.split()}
WORDS = " ".join(["'load':16102A 'articl':15002B 'kilobyt':15005B", *(f"'{word}':{at}" for word, at in PLACES.items())])


@dataclasses.dataclass
class Script:
    """A script of pgbench: what is set at its start, and what stands for $1, $2 … in each execution of the statement."""

    statement: str
    executions: list
    start: str = ""

    def text(self):
        with open(f"{QUERIES}/{self.statement}.sql") as file:
            statement = "".join(line for line in file if not line.lstrip().startswith("--"))
        # To pgbench each place where a value stands is a value of its own, whose type the other places do not tell.
        types = [name for name, in seed.sql(
            f"prepare it as {statement}; select unnest(parameter_types)::text from pg_prepared_statements where name = 'it'")]
        def filled(arguments):
            typed = [f"({argument})::{name}" for argument, name in zip(arguments, types, strict=True)]
            return re.sub(r"\$(\d+)", lambda found: typed[int(found[1]) - 1], statement)
        return self.start + "".join(f"{filled(arguments).strip()};\n" for arguments in self.executions)


def _array(values):
    """An array as PostgreSQL writes it."""
    return "{" + ",".join("null" if value is None else f'"{value}"' for value in values) + "}"


class Bench:
    """Statements with their values, for one number of served."""

    def __init__(self, served):
        self.served, self.values = served, {}
        self.draw = random.Random(served)
        column = lambda query: [value for value, in seed.sql(query)]
        self.slugs = column("select slug from articles order by random() limit 1000")
        self.sessions = column("select id from sessions order by random() limit 512")
        (self.person,), = seed.sql("select min(id) from users where email like 'person-%'")

    def _value(self, name, value):
        """Has pgbench know a value, and says how a script names it."""
        self.values[name] = value
        return f":{name}"

    def _of_each(self, name, value):
        """An array that has the same for each who is served."""
        return self._value(name, _array([value] * self.served))

    def _drawn(self, name, values):
        return self._value(name, _array(self.draw.sample(values, self.served)))

    def by_slug(self, variant):
        """As if none of them had been read before."""
        unknown = self._of_each("unknown", None)
        return Script("articles/find_by_slugs", [[
            self._drawn(f"slugs_{variant}", self.slugs), unknown, unknown, self._value("viewers", "{}")]])

    def snapshot(self, _):
        return Script("kept/snapshot", [[]])

    def current_users(self, variant):
        return Script("auth/find_current_users", [[self._drawn(f"sessions_{variant}", self.sessions)]])

    def pages(self, variant):
        most = min(len(self.slugs), 1000) - 20
        return Script("articles/pages", [[
            self._of_each("before", 2**63 - 1), self._of_each("after", None), self._of_each("limits", 21),
            self._drawn(f"offsets_{variant}", range(most)), self._of_each("viewers_of_pages", None)]])

    def create(self):
        slugs = ", ".join(f"'bench-' || :drawn || '-{number}'" for number in range(self.served))
        return Script("articles/create", [[
            self._of_each("authors", self.person), f"(array[{slugs}])", self._of_each("titles", "Under load"),
            self._of_each("descriptions", "An article of about a kilobyte"), self._of_each("bodies", BODY),
            self._of_each("traces", TRACE), self._of_each("keys", None), self._of_each("fingerprints", None),
            self._of_each("words", WORDS), self._value("good_for", "86400")]], "\\set drawn random(1, 9000000000000000)\n")

    def favorite(self):
        """Each client has an article and people of its own, who favorite it and take it back."""
        people = ", ".join(f":first + {number}" for number in range(self.served))
        def wanted(favorited):
            return [f"(array_fill('seeded-' || :article, array[{self.served}]))", f"(array[{people}])",
                    f"(array_fill({favorited}, array[{self.served}]))", self._of_each("traces_of_favorites", TRACE)]
        return Script("favorites/set", [wanted("true"), wanted("false")],
                      f"\\set article :client_id + 1\n\\set first {self.person} + :client_id * {TOGETHER}\n")

    def all(self):
        """Scripts that are run together, with the settings of their connections."""
        for read in (self.by_slug, self.snapshot, self.pages, self.current_users):
            yield [read(variant) for variant in range(VARIANTS)], BY_KEY
        for write in (self.create, self.favorite):
            yield [write()], WRITING


def _pgbench():
    beside = sorted(glob.glob("/usr/lib/postgresql/*/bin/pgbench"))
    return shutil.which("pgbench") or (beside[-1] if beside else sys.exit("loadtest: pgbench is needed"))


def _microseconds(scripts, values, options):
    """What an execution takes of PostgreSQL's processor time."""
    command = [_pgbench(), "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "1", "-T", str(SECONDS)]
    command += [argument for name, value in values.items() for argument in ("-D", f"{name}={value}")]
    for number, script in enumerate(scripts):
        path = f"{DATA}/statement-{number}.sql"
        with open(path, "w") as file:
            file.write(script.text())
        command += ["-f", path]
    postgres = servers.postgres()
    time.sleep(LEAVING)
    before = processor.of_family(postgres)
    done = subprocess.run([*command, os.environ["DATABASE_URL"]], capture_output=True, text=True,
                          env={**os.environ, "PGOPTIONS": options})
    time.sleep(LEAVING)
    took = processor.of_family(postgres) - before
    count = re.search(r"transactions actually processed: (\d+)", done.stdout)
    if done.returncode or not count or not int(count[1]):
        sys.exit(f"loadtest: pgbench, {scripts[0].statement}: {done.stderr.strip()}")
    return took / int(count[1]) / len(scripts[0].executions) * 1e6


def measured(rounds):
    """What each statement costs whoever is served: one that is alone, and each of 25."""
    print("\nstatements by themselves: processor microseconds of PostgreSQL for whoever is served; medians")
    print(f"{'statement':<26}{'alone':>9}{'of ' + str(TOGETHER):>9}", flush=True)
    alone, gathered = Bench(1), Bench(TOGETHER)
    for (one, options), (many, _) in zip(alone.all(), gathered.all()):
        taken = [(_microseconds(one, alone.values, options), _microseconds(many, gathered.values, options) / TOGETHER)
                 for _ in range(rounds)]
        seed.forget()
        result = {"statement": one[0].statement, "alone_us": statistics.median(first for first, _ in taken),
                  "gathered_us": statistics.median(second for _, second in taken)}
        print(f"{result['statement']:<26}{result['alone_us']:>9.0f}{result['gathered_us']:>9.0f}", flush=True)
        yield result
