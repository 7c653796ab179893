//! `properties::last_event_id`, with what libFuzzer makes up.
#![no_main]

#[allow(dead_code)]
#[path = "../properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|input: &[u8]| properties::last_event_id(input));
