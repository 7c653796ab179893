//! What the variables of OpenTelemetry have to be. What is wrong is said in words that hold nothing of the value.

use percent_encoding::percent_decode_str;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use url::Url;

/// What is wrong with a value, unless it is fit.
pub(super) type Rule = fn(&str) -> Option<&'static str>;

pub(super) fn anything(_: &str) -> Option<&'static str> {
    None
}

pub(super) fn switch(text: &str) -> Option<&'static str> {
    (!is_one_of(text, &["true", "false"])).then_some("must be true or false")
}

pub(super) fn milliseconds(text: &str) -> Option<&'static str> {
    text.parse::<u64>().is_err().then_some("must be a whole number of milliseconds")
}

/// The specification's 0 would be a wait without end.
pub(super) fn deadline(text: &str) -> Option<&'static str> {
    (!text.parse::<u32>().is_ok_and(|limit| limit > 0)).then_some("must be a whole number of milliseconds, from 1 on")
}

pub(super) fn number(text: &str) -> Option<&'static str> {
    text.parse::<u32>().is_err().then_some("must be a whole number")
}

pub(super) fn size(text: &str) -> Option<&'static str> {
    (!text.parse::<u32>().is_ok_and(|size| size > 0)).then_some("must be a whole number from 1 on")
}

/// The value is not repeated: headers hold keys.
pub(super) fn pairs(text: &str) -> Option<&'static str> {
    let pair = |pair: &str| pair.split_once('=').is_some_and(|(name, _)| !name.trim().is_empty());
    let sound = text.split(',').filter(|part| !part.trim().is_empty()).all(pair);
    (!sound).then_some("must be pairs like name=value, separated by commas")
}

pub(super) fn attributes(text: &str) -> Option<&'static str> {
    let undecodable = percent_decode_str(text).decode_utf8().is_err();
    pairs(text).or(undecodable.then_some("must be text, percent-encoded where it has to be"))
}

/// `host:port` alone, without a scheme, is for gRPC, and looked at where the protocol is known.
pub(super) fn endpoint(text: &str) -> Option<&'static str> {
    let Ok(url) = Url::parse(&complete(text)) else { return Some("must be an http or https URL") };
    let sound = matches!(url.scheme(), "http" | "https") && url.has_host();
    // Nobody would send them; and what is a key belongs where keys are looked for.
    let open = !url.username().is_empty() || url.password().is_some();
    match (sound, open) {
        (false, _) => Some("must be an http or https URL"),
        (true, true) => Some("must hold no user and no password: those are for the headers"),
        (true, false) => None,
    }
}

/// An endpoint with a scheme, whichever, if it has none.
fn complete(endpoint: &str) -> String {
    if endpoint.contains("://") { endpoint.to_owned() } else { format!("https://{endpoint}") }
}

pub(super) fn protocol(text: &str) -> Option<&'static str> {
    (!["http/protobuf", "grpc"].contains(&text)).then_some("must be http/protobuf or grpc")
}

pub(super) fn compression(text: &str) -> Option<&'static str> {
    (!is_one_of(text, &["gzip", "none"])).then_some("must be gzip or none")
}

pub(super) fn temporality(text: &str) -> Option<&'static str> {
    (!is_one_of(text, &["cumulative", "delta", "lowmemory"])).then_some("must be cumulative, delta or lowmemory")
}

pub(super) fn pushing(text: &str) -> Option<&'static str> {
    (!list_of(text, &["otlp", "none"])).then_some("must be otlp or none")
}

pub(super) fn measuring(text: &str) -> Option<&'static str> {
    (!list_of(text, &["otlp", "prometheus", "none"])).then_some("must be otlp, prometheus or none")
}

pub(super) fn sampler(text: &str) -> Option<&'static str> {
    let known = ["always_on", "always_off", "traceidratio"];
    let known = known.contains(&text.strip_prefix("parentbased_").unwrap_or(text));
    (!known).then_some("must be always_on, always_off or traceidratio, or one of them after parentbased_")
}

pub(super) fn certificates(path: &str) -> Option<&'static str> {
    let Ok(pem) = std::fs::read(path) else { return Some("names a file that cannot be read") };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    (!found.is_ok_and(|found| !found.is_empty())).then_some("must name a file that holds certificates, in PEM")
}

pub(super) fn key(path: &str) -> Option<&'static str> {
    let Ok(pem) = std::fs::read(path) else { return Some("names a file that cannot be read") };
    PrivateKeyDer::from_pem_slice(&pem).is_err().then_some("must name a file that holds a private key, in PEM")
}

fn is_one_of(text: &str, known: &[&str]) -> bool {
    known.iter().any(|word| text.eq_ignore_ascii_case(word))
}

fn list_of(text: &str, known: &[&str]) -> bool {
    text.split(',').all(|word| is_one_of(word.trim(), known))
}
