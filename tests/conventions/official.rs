//! OpenTelemetry's own conventions, as the crate `opentelemetry-semantic-conventions` lists them: read from its source,
//! since only there it stands which of them are stable, which are deprecated, and what they look like.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// An attribute, or a metric, of OpenTelemetry's.
#[derive(Debug, Clone, Default)]
pub struct Entry {
    /// It will not change any more.
    pub stable: bool,
    /// What took its place.
    pub deprecated: Option<String>,
    /// What its values are, where its examples tell.
    pub kind: Option<&'static str>,
    /// A metric's instrument.
    pub instrument: String,
    /// A metric's unit.
    pub unit: String,
    /// The attributes that a metric has to have, as the crate's constants are called.
    pub required: Vec<String>,
}

/// All of them.
pub struct Official {
    /// Attributes, by name.
    pub attributes: BTreeMap<String, Entry>,
    /// Metrics, by name.
    pub metrics: BTreeMap<String, Entry>,
}

impl Official {
    /// Reads them.
    pub fn read() -> Self {
        let source = source();
        let read = |name: &str| entries(&fs::read_to_string(source.join(name)).unwrap());
        let official = Self { attributes: read("attribute.rs"), metrics: read("metric.rs") };
        // Whether what is read is what is written there: one of each sort.
        assert!(official.attributes.len() > 500 && official.metrics.len() > 200);
        let of = |name: &str| &official.attributes[name];
        assert!(of("http.route").stable && of("http.route").kind == Some("string"));
        assert!(of("server.port").kind == Some("int") && !of("messaging.message.id").stable);
        assert!(of("http.method").deprecated.as_ref().is_some_and(|by| by.contains("http.request.method")));
        let duration = &official.metrics["http.server.request.duration"];
        assert_eq!((duration.instrument.as_str(), duration.unit.as_str()), ("histogram", "s"));
        assert_eq!(duration.required, ["HTTP_REQUEST_METHOD", "URL_SCHEME"]);
        official
    }
}

/// Where the crate's source is, which is wherever cargo has it.
fn source() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        // What other platforms would need is not there where nobody built for them.
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", "host-tuple"])
        .arg("--manifest-path")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let found = packages.iter().find(|package| package["name"] == "opentelemetry-semantic-conventions").unwrap();
    PathBuf::from(found["manifest_path"].as_str().unwrap()).parent().unwrap().join("src")
}

/// Every constant with what stands above it.
fn entries(source: &str) -> BTreeMap<String, Entry> {
    let mut entries = BTreeMap::new();
    for block in source.split("\n\n") {
        let Some((above, constant)) = block.split_once("pub const ") else { continue };
        let Some(name) = constant.split('"').nth(1) else { continue };
        let cell = |title: &str| {
            let row = above.lines().find(|line| line.contains(title));
            row.and_then(|row| row.split('`').nth(1)).unwrap_or_default().to_owned()
        };
        let deprecated =
            above.split_once("#[deprecated").map(|(_, note)| note.split('"').nth(1).unwrap_or_default().to_owned());
        let entry = Entry {
            stable: !above.contains("#[cfg(feature"),
            deprecated,
            kind: kind(above),
            instrument: cell("| Instrument:"),
            unit: cell("| Unit:"),
            required: above.lines().filter_map(required).collect(),
        };
        entries.insert(name.to_owned(), entry);
    }
    entries
}

/// The attribute of a line that says that it has to be there.
fn required(line: &str) -> Option<String> {
    let (_, row) = line.split_once("[`crate::attribute::")?;
    let (constant, level) = row.split_once("`]")?;
    level.contains("`Required`").then(|| constant.to_owned())
}

/// What the first example is.
fn kind(above: &str) -> Option<&'static str> {
    let (_, examples) = above.split_once("# Examples")?;
    let example = examples.lines().find_map(|line| line.strip_prefix("/// - `")?.strip_suffix('`'))?;
    Some(match example {
        _ if example.starts_with('"') => "string",
        _ if example.starts_with('[') => "string[]",
        "true" | "false" => "boolean",
        _ if example.parse::<i64>().is_ok() => "int",
        _ if example.parse::<f64>().is_ok() => "double",
        _ => return None,
    })
}
