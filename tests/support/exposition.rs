//! What `/metrics` says, read as strictly as its format is defined.

use std::collections::{BTreeMap, BTreeSet};

/// One metric with all its series.
#[derive(Debug, Default)]
pub struct Family {
    /// What it says that it is for.
    pub help: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    /// The names of all labels of all series, but for `le`.
    pub labels: BTreeSet<String>,
    /// Each series, as it is written, with its value.
    pub series: BTreeMap<String, f64>,
}

impl Family {
    /// All series together whose labels hold this.
    pub fn sum(&self, label: &str) -> f64 {
        self.series.iter().filter(|(series, _)| series.contains(label)).map(|(_, value)| value).sum()
    }
}

/// Reads the text; panics at whatever a reader of it may stumble over.
#[track_caller]
pub fn read(text: &str) -> BTreeMap<String, Family> {
    assert!(text.ends_with('\n'), "the last line has no end");
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or_else(|| panic!("{line} says nothing"));
            assert!(!families.contains_key(name), "{name} is there twice");
            families.insert(name.to_owned(), Family { help: help.to_owned(), ..Family::default() });
            name.clone_into(&mut current);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, current, "{line} is not where it belongs");
            kind.clone_into(&mut families.get_mut(name).unwrap().kind);
        } else {
            let family = families.get_mut(&current).unwrap_or_else(|| panic!("{line} comes before all else"));
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let of_histogram = family.kind == "histogram"
                && name
                    .strip_prefix(current.as_str())
                    .is_some_and(|rest| ["_bucket", "_sum", "_count"].contains(&rest));
            assert!(name == current || of_histogram, "{line} stands under {current}");
            family.labels.extend(names(labels));
            let before = family.series.insert(series.to_owned(), value.parse().unwrap());
            assert_eq!(before, None, "{series} is there twice");
        }
    }
    families
}

/// The names of labels, but for the one that the format itself adds to histograms.
fn names(labels: &str) -> Vec<String> {
    let labels = labels.trim_end_matches('}');
    let pairs = labels.split("\",").filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split('=').next().unwrap().to_owned()).filter(|name| name != "le").collect()
}
