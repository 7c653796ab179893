//! What the source tree promises about itself: which way imports point, where statements live, how long files get.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// The domains, which meet only in each other's messages.
const DOMAINS: [&str; 6] = ["articles", "auth", "favorites", "notifications", "throttle", "webhooks"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below a folder whose names end so, by their paths from the root.
fn files(folder: &str, ending: &str) -> BTreeMap<String, String> {
    fn collect(folder: PathBuf, ending: &str, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                collect(path, ending, found);
            } else if name.ends_with(ending) {
                found.insert(name, fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(root().join(folder), ending, &mut found);
    assert!(!found.is_empty(), "nothing in {folder} ends with {ending}");
    found
}

/// What is compiled into the service: without unit tests, which come last in their files, and comments.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Every place in the code below a folder that matches, as `file: text`.
fn matches(folder: &str, pattern: &str) -> Vec<String> {
    let pattern = Regex::new(pattern).unwrap();
    let in_file = |(name, text): (String, String)| {
        let found: Vec<_> =
            pattern.find_iter(&code(&text)).map(|found| format!("{name}: {}", found.as_str())).collect();
        found
    };
    files(folder, ".rs").into_iter().flat_map(in_file).collect()
}

#[track_caller]
fn none(found: Vec<String>) {
    assert!(found.is_empty(), "{found:#?}");
}

/// The dependencies under a heading of a manifest, by name.
fn dependencies(manifest: &str, heading: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(manifest)).unwrap();
    let section =
        text.split(&format!("\n[{heading}]\n")).nth(1).unwrap_or_else(|| panic!("{manifest} has no {heading}"));
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    lines
        .filter_map(|line| line.split(['=', '.', ' ']).next())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_kit_imports_nothing_of_ours() {
    none(
        matches("actors/src/kit", r"crate::(?:[a-jl-z]\w*|k[a-hj-z]\w*)(?:::\w+)*")
            .into_iter()
            .filter(|found| {
                // `crate::sql!` and `crate::messages!` are the kit's own macros.
                !found.ends_with("crate::sql") && !found.ends_with("crate::messages")
            })
            .collect(),
    );
}

#[test]
fn supervision_and_jobs_know_no_domain() {
    let domains = DOMAINS.join("|");
    for folder in ["actors/src/supervision", "actors/src/jobs"] {
        none(matches(folder, &format!(r"\b(?:crate|super::super)::(?:\{{[^}}]*\b)?(?:{domains}|health|system)\b")));
    }
}

/// What a domain offers to the others besides its messages: what it re-exports.
fn offered(domain: &str) -> Vec<String> {
    let module = code(&fs::read_to_string(root().join(format!("actors/src/{domain}/mod.rs"))).unwrap());
    let exports = Regex::new(r"pub use ([^;]+);").unwrap();
    exports.captures_iter(&module).flat_map(|found| words(&found[1])).collect()
}

fn words(text: &str) -> Vec<String> {
    Regex::new(r"[A-Za-z_]\w*").unwrap().find_iter(text).map(|word| word.as_str().to_owned()).collect()
}

#[test]
fn domains_meet_only_in_what_they_say_to_each_other() {
    // A favorite is answered with its article, whose row is read in one place.
    let shared = [("actors/src/favorites/store.rs", "store"), ("actors/src/favorites/store.rs", "article")];
    for other in DOMAINS {
        let offered = offered(other);
        let import = Regex::new(&format!(r"\bcrate::{other}::(\{{[^}}]*\}}|\w+)")).unwrap();
        for domain in DOMAINS.into_iter().filter(|domain| *domain != other) {
            for (name, text) in files(&format!("actors/src/{domain}"), ".rs") {
                let code = code(&text);
                let imported = import.captures_iter(&code).flat_map(|found| words(&found[1]));
                let strange = |word: &String| {
                    word != "message" && !offered.contains(word) && !shared.contains(&(name.as_str(), word.as_str()))
                };
                let strangers: Vec<_> = imported.filter(strange).collect();
                assert!(strangers.is_empty(), "{name} imports {strangers:?} of {other}, which it does not offer");
            }
        }
    }
}

#[test]
fn the_front_knows_no_driver_and_the_actors_no_protocol() {
    none(
        matches("src", r"\b(?:tokio_postgres|ractor|redis|deadpool\w*|refinery|argon2|jsonwebtoken)::")
            .into_iter()
            // The actors' own settings for Redis.
            .filter(|found| !found.contains("src/dev/") && !found.contains("config.rs: redis::"))
            .collect(),
    );
    let front = dependencies("Cargo.toml", "dependencies");
    for driver in ["tokio-postgres", "redis", "ractor", "deadpool-postgres", "refinery", "argon2", "jsonwebtoken"] {
        assert!(!front.iter().any(|name| name == driver), "the front depends on {driver}");
    }
    let actors = dependencies("actors/Cargo.toml", "dependencies");
    for protocol in ["hyper", "hyper-util", "http", "http-body-util", "bytes", "matchit", "utoipa", "tower"] {
        assert!(!actors.iter().any(|name| name == protocol), "the actors depend on {protocol}");
    }
    none(matches("actors/src", r"\b(?:hyper|http|StatusCode)::\w+"));
}

#[test]
fn no_file_is_longer_than_four_hundred_lines() {
    let kinds = [
        ("src", ".rs"),
        ("actors", ".rs"),
        ("tests", ".rs"),
        ("examples", ".rs"),
        ("benches", ".rs"),
        ("sql", ".sql"),
        ("ops", ".sh"),
    ];
    let kinds = kinds.into_iter().chain([".html", ".css", ".js"].map(|ending| ("src", ending)));
    for (name, text) in kinds.flat_map(|(folder, ending)| files(folder, ending)) {
        assert!(text.lines().count() <= 400, "{name} has {} lines", text.lines().count());
    }
}

#[test]
fn every_statement_has_a_file_that_says_why_and_one_place_that_runs_it() {
    let pattern = Regex::new(r#"\bsql!\(\s*"([^"]+)"\s*\)"#).unwrap();
    let mut uses: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, text) in files("actors/src", ".rs").into_iter().chain(files("src", ".rs")) {
        for found in pattern.captures_iter(&code(&text)) {
            uses.entry(found[1].to_owned()).or_default().push(name.clone());
        }
    }
    for (name, text) in files("sql/queries", ".sql") {
        let statement = name.strip_prefix("sql/queries/").unwrap().strip_suffix(".sql").unwrap();
        let places = uses.remove(statement).unwrap_or_default();
        assert_eq!(places.len(), 1, "{name} is run in {places:?}");
        let folder = statement.split('/').next().unwrap();
        assert!(places[0].contains(folder), "{name} is run in {places:?}");
        assert!(text.starts_with("-- "), "{name} does not open with a comment");
        let sent: String = text.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
        assert!(!sent.trim_end_matches([';', ' ']).contains(';'), "{name} holds more than one statement");
    }
    assert!(uses.is_empty(), "{uses:?} have no files");
}

#[test]
fn statements_are_nowhere_but_in_their_files() {
    none(
        matches("actors/src", r#"(?i)"\s*(?:select .* from|insert into|update \w+ set|delete from) "#)
            .into_iter()
            .filter(|found| !found.starts_with("actors/src/migrations.rs"))
            .collect(),
    );
    none(
        matches("src", r#"(?i)"\s*(?:select .* from|insert into|update \w+ set|delete from) "#)
            .into_iter()
            .filter(|found| !found.starts_with("src/dev/"))
            .collect(),
    );
}

#[test]
fn nothing_gives_up_where_an_error_could_be_told() {
    for folder in ["src", "actors/src"] {
        none(matches(
            folder,
            r"\.unwrap\(\)|\.expect\(|\b(?:todo|unimplemented|dbg)!|#\[allow\(clippy::(?:unwrap_used|expect_used)",
        ));
    }
}

#[test]
fn nothing_is_named_for_doing_anything_at_all() {
    for folder in ["src", "actors/src"] {
        none(matches(
            folder,
            r"\b(?:struct|enum|trait|mod) \w*(?:Manager|Repository|Util|Utils|Helper|Helpers|utils|helpers)\b",
        ));
    }
}

#[test]
fn every_module_says_what_it_is_for() {
    for folder in ["src", "actors", "tests", "examples", "benches"] {
        for (name, text) in files(folder, ".rs") {
            assert!(text.starts_with("//! "), "{name} does not open with what it is for");
        }
    }
}

#[test]
fn nothing_is_left_to_be_done() {
    // Put together here, so that this file does not hold what it looks for.
    let words = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["XX", "X"].concat()].join("|");
    let words = Regex::new(&format!(r"\b(?:{words})\b")).unwrap();
    let kinds = [("src", ".rs"), ("actors", ".rs"), ("tests", ".rs"), ("sql", ".sql")];
    for (name, text) in kinds.into_iter().flat_map(|(folder, ending)| files(folder, ending)) {
        let found = words.find(&text).map(|found| found.as_str());
        assert_eq!(found, None, "in {name}");
    }
}
