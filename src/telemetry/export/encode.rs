//! Spans and log records as OTLP's protobuf, written where they end and are emitted, straight from what is at hand. The SDK
//! copies every text into messages of its own first, which is most of what an export costs.
//!
//! What must stay true: what is written reads exactly like what the SDK would have written, which tests compare.

mod records;
mod spans;

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::{Array, KeyValue, Value};
use opentelemetry_sdk::Resource;

pub(in super::super) use self::records::Record;
pub(super) use self::spans::span;

/// How many bytes a length is likely to take; what was written moves when it takes others.
const SHORT: usize = 1;
const OF_AN_ITEM: usize = 2;
const OF_A_BATCH: usize = 3;

/// Who says what a batch holds.
pub(super) trait Scope {
    /// Writes what it is called, and what else is known of it.
    fn write(&self, message: &mut Message);

    /// The schema that its items keep to; empty for none.
    fn schema_url(&self) -> &str {
        ""
    }
}

/// The spans, or log records, of a scope.
#[derive(Default)]
pub(super) struct Items(Message);

impl Items {
    pub(super) fn push(&mut self, item: &[u8]) {
        self.0.bytes(2, item);
    }

    /// Forgets them, and keeps their memory up to so many bytes.
    pub(super) fn clear(&mut self, keep: usize) {
        self.0.0.clear();
        self.0.0.shrink_to(keep);
    }
}

/// The request that exports a batch, in the buffer's memory: what it is about, then what each scope has to say.
pub(super) fn batch<S: Scope>(mut buffer: Vec<u8>, resource: &Resource, scopes: &[(S, Items)]) -> Vec<u8> {
    buffer.clear();
    let mut message = Message(buffer);
    message.nested(1, OF_A_BATCH, |batch| {
        batch.nested(1, OF_AN_ITEM, |message| {
            resource.iter().for_each(|(name, value)| message.pair(1, name.as_str(), value));
        });
        for (scope, items) in scopes.iter().filter(|(_, items)| !items.0.0.is_empty()) {
            batch.nested(2, OF_A_BATCH, |of_scope| {
                of_scope.nested(1, SHORT, |message| scope.write(message));
                of_scope.0.extend_from_slice(&items.0.0);
                of_scope.text(3, scope.schema_url());
            });
        }
        batch.text(3, resource.schema_url().unwrap_or_default());
    });
    message.0
}

/// A message that is being written. Fields that hold nothing are left out, as protobuf does.
#[derive(Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    fn attributes(&mut self, field: u32, pairs: &[KeyValue]) {
        pairs.iter().for_each(|pair| self.pair(field, pair.key.as_str(), &pair.value));
    }

    fn pair(&mut self, field: u32, name: &str, value: &Value) {
        let size = match value {
            Value::Bool(_) => SWITCH,
            Value::I64(value) => integer_size(*value),
            Value::F64(_) => DOUBLE,
            Value::String(text) => bytes_size(text.as_str().len()),
            _ => return self.pair_of_any_size(field, name, |message| message.value(value)),
        };
        self.pair_of_size(field, name, size, |message| message.value(value));
    }

    /// A pair whose value takes so many bytes: most are so, and none of what was written has to be moved.
    fn pair_of_size(&mut self, field: u32, name: &str, size: usize, value: impl FnOnce(&mut Self)) {
        let of_name = if name.is_empty() { 0 } else { bytes_size(name.len()) };
        let whole = of_name + bytes_size(size);
        if let (Some(key), Some(whole), 1..) = (one_byte(key(field, 2)), one_byte(whole as u64), of_name) {
            // Nearly always; the lengths within are smaller still.
            self.0.extend_from_slice(&[key, whole, NAME, name.len() as u8]);
            self.0.extend_from_slice(name.as_bytes());
            self.0.extend_from_slice(&[VALUE, size as u8]);
        } else {
            self.key(field, 2);
            self.varint(whole as u64);
            self.text(1, name);
            self.key(2, 2);
            self.varint(size as u64);
        }
        value(self);
    }

    fn pair_of_any_size(&mut self, field: u32, name: &str, value: impl FnOnce(&mut Self)) {
        self.nested(field, SHORT, |message| {
            message.text(1, name);
            message.nested(2, SHORT, value);
        });
    }

    /// One of several: it is written even where it holds nothing.
    fn value(&mut self, value: &Value) {
        match value {
            Value::Bool(value) => self.switch(*value),
            Value::I64(value) => self.integer(*value),
            Value::F64(value) => self.double(*value),
            Value::String(value) => self.bytes(1, value.as_str().as_bytes()),
            Value::Array(values) => self.nested(5, SHORT, |message| match values {
                Array::Bool(values) => message.each(values, |message, value| message.switch(*value)),
                Array::I64(values) => message.each(values, |message, value| message.integer(*value)),
                Array::F64(values) => message.each(values, |message, value| message.double(*value)),
                Array::String(values) => {
                    message.each(values, |message, value| message.bytes(1, value.as_str().as_bytes()))
                }
                _ => {}
            }),
            _ => {}
        }
    }

    fn each<T>(&mut self, values: &[T], write: impl Fn(&mut Self, &T)) {
        values.iter().for_each(|value| self.nested(1, SHORT, |message| write(message, value)));
    }

    fn switch(&mut self, value: bool) {
        self.key(2, 0);
        self.varint(u64::from(value));
    }

    fn integer(&mut self, value: i64) {
        self.key(3, 0);
        self.varint(value.cast_unsigned());
    }

    fn double(&mut self, value: f64) {
        self.key(4, 1);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn number(&mut self, field: u32, value: u64) {
        if value > 0 {
            self.key(field, 0);
            self.varint(value);
        }
    }

    fn time(&mut self, field: u32, time: SystemTime) {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let nanoseconds = u64::try_from(since).unwrap_or(u64::MAX);
        if nanoseconds > 0 {
            self.key(field, 1);
            self.0.extend_from_slice(&nanoseconds.to_le_bytes());
        }
    }

    fn text(&mut self, field: u32, text: &str) {
        if !text.is_empty() {
            self.bytes(field, text.as_bytes());
        }
    }

    fn bytes(&mut self, field: u32, bytes: &[u8]) {
        if let (Some(key), Some(length)) = (one_byte(key(field, 2)), one_byte(bytes.len() as u64)) {
            self.0.extend_from_slice(&[key, length]);
        } else {
            self.key(field, 2);
            self.varint(bytes.len() as u64);
        }
        self.0.extend_from_slice(bytes);
    }

    /// A message within this one. Its length comes before it, and is known behind it.
    fn nested(&mut self, field: u32, likely: usize, write: impl FnOnce(&mut Self)) {
        self.key(field, 2);
        let start = self.0.len();
        self.0.resize(start + likely, 0);
        write(self);
        let mut length = self.0.len() - start - likely;
        let end = self.0.len();
        let width = width(length);
        if width > likely {
            self.0.resize(end + width - likely, 0);
        }
        if width != likely {
            self.0.copy_within(start + likely..end, start + width);
            self.0.truncate(end + width - likely);
        }
        for (at, byte) in self.0.iter_mut().skip(start).take(width).enumerate() {
            let more = if at + 1 < width { 0x80 } else { 0 };
            *byte = (length & 0x7f) as u8 | more;
            length >>= 7;
        }
    }

    fn key(&mut self, field: u32, kind: u32) {
        self.varint(key(field, kind));
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// What a pair's name and value begin with.
const NAME: u8 = 1 << 3 | 2;
const VALUE: u8 = 2 << 3 | 2;

/// What comes before a field: its number, and what kind of thing it is.
fn key(field: u32, kind: u32) -> u64 {
    u64::from(field << 3 | kind)
}

/// A number that takes a byte, as that byte.
fn one_byte(number: u64) -> Option<u8> {
    u8::try_from(number).ok().filter(u8::is_ascii)
}

/// What values take, with their keys.
const SWITCH: usize = 2;
const DOUBLE: usize = 9;

fn integer_size(value: i64) -> usize {
    1 + (u64::BITS - value.cast_unsigned().leading_zeros()).div_ceil(7).max(1) as usize
}

/// So many bytes, with their key and their length.
fn bytes_size(length: usize) -> usize {
    1 + width(length) + length
}

/// The bytes that a length takes.
fn width(length: usize) -> usize {
    let bits = usize::BITS - length.leading_zeros();
    bits.div_ceil(7).max(1) as usize
}
