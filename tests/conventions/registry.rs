//! What the service says beyond OpenTelemetry's stable conventions: the registry in ops/telemetry/registry, in the form
//! that OpenTelemetry Weaver reads.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

/// A file of the registry.
#[derive(Deserialize)]
struct File {
    groups: Vec<Group>,
}

/// A group, as far as we look at it.
#[derive(Debug, Clone, Deserialize)]
struct Group {
    id: String,
    r#type: String,
    brief: String,
    #[serde(default)]
    stability: String,
    #[serde(default)]
    span_kind: String,
    #[serde(default)]
    metric_name: String,
    #[serde(default)]
    instrument: String,
    #[serde(default)]
    unit: String,
    #[serde(default)]
    annotations: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default)]
    attributes: Vec<Attribute>,
}

#[derive(Debug, Clone, Deserialize)]
struct Attribute {
    id: Option<String>,
    r#ref: Option<String>,
    r#type: Option<Value>,
    requirement_level: Option<Value>,
    #[serde(default)]
    brief: String,
}

/// A kind of span.
#[derive(Debug)]
pub struct Span {
    /// What it is called in the registry.
    pub id: String,
    /// `server`, `client` and so on.
    pub kind: String,
    /// What its names look like.
    pub name: Regex,
    /// Attributes that each of them has.
    pub required: Vec<String>,
}

/// A metric.
#[derive(Debug)]
pub struct Metric {
    /// Its instrument.
    pub instrument: String,
    /// Its unit.
    pub unit: String,
    /// The attributes that it may have.
    pub attributes: Vec<String>,
}

/// All of it.
pub struct Registry {
    /// Our own attributes, with what their values are.
    pub attributes: BTreeMap<String, String>,
    /// Attributes of OpenTelemetry's that are not stable and used all the same.
    pub adopted: Vec<String>,
    /// Spans.
    pub spans: Vec<Span>,
    /// Metrics, by name.
    pub metrics: BTreeMap<String, Metric>,
}

/// Where it is.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("ops/telemetry/registry")
}

fn required(attribute: &Attribute) -> bool {
    attribute.requirement_level.as_ref().is_some_and(|level| level == "required")
}

fn name(attribute: &Attribute) -> String {
    attribute.r#ref.clone().or_else(|| attribute.id.clone()).unwrap()
}

impl Registry {
    /// Reads it, and checks that it is one.
    pub fn read() -> Self {
        let mut registry =
            Self { attributes: BTreeMap::new(), adopted: Vec::new(), spans: Vec::new(), metrics: BTreeMap::new() };
        let manifest = fs::read_to_string(folder().join("manifest.yaml")).unwrap();
        let manifest: BTreeMap<String, Value> = serde_norway::from_str(&manifest).unwrap();
        assert!(manifest.contains_key("schema_url") && manifest.contains_key("dependencies"));
        for entry in fs::read_dir(folder()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "yaml") && !path.ends_with("manifest.yaml") {
                let file = fs::read_to_string(&path).unwrap();
                let file: File = serde_norway::from_str(&file).unwrap_or_else(|error| panic!("{path:?}: {error}"));
                file.groups.into_iter().for_each(|group| registry.add(group));
            }
        }
        registry
    }

    fn add(&mut self, group: Group) {
        assert!(!group.brief.is_empty(), "{} does not say what it is", group.id);
        assert!(group.r#type == "attribute_group" || !group.stability.is_empty(), "{}: how stable?", group.id);
        for attribute in &group.attributes {
            match (&attribute.id, &attribute.r#type) {
                (Some(id), Some(kind)) => {
                    assert!(!attribute.brief.is_empty(), "{id} does not say what it is");
                    // An enumeration is told by its members, which are words.
                    let kind = kind.as_str().unwrap_or("string").to_owned();
                    assert!(self.attributes.insert(id.clone(), kind).is_none(), "{id} is there twice");
                }
                _ => self.adopted.push(name(attribute)),
            }
        }
        match group.r#type.as_str() {
            "span" => {
                let name = group.annotations.get("callboard").and_then(|ours| ours.get("name"));
                let pattern = name.unwrap_or_else(|| panic!("{} does not say how it is called", group.id));
                let wanted = group.attributes.iter().filter(|attribute| required(attribute)).map(self::name);
                let (name, required) = (Regex::new(&format!("^(?:{pattern})$")).unwrap(), wanted.collect());
                self.spans.push(Span { id: group.id, kind: group.span_kind, name, required });
            }
            "metric" => {
                let attributes = group.attributes.iter().map(name).collect();
                let metric = Metric { instrument: group.instrument, unit: group.unit, attributes };
                assert!(self.metrics.insert(group.metric_name, metric).is_none(), "{} is there twice", group.id);
            }
            "attribute_group" => {}
            other => panic!("{}: what is a {other}?", group.id),
        }
    }
}
