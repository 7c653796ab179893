//! A row's columns, one after the other. Looking for each of an article's fourteen columns by its name takes as many
//! instructions as all else about the row, and a page has twenty rows.

use std::error::Error;

use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

/// The columns of a row from one of them on, in the order in which the statement selects them.
pub(crate) struct Columns<'a> {
    row: &'a Row,
    next: usize,
}

impl<'a> Columns<'a> {
    /// From the first column of this name on.
    pub(crate) fn from(row: &'a Row, first: &str) -> Self {
        // One that is not there is refused when it is read, as it is by its name.
        let position = row.columns().iter().position(|column| column.name() == first);
        Self { row, next: position.unwrap_or(row.len()) }
    }

    /// Reads the next one.
    ///
    /// # Panics
    /// When there is none, or it has another type: then the statement is not the one that this was written for.
    pub(crate) fn read<T: FromSql<'a>>(&mut self) -> T {
        let value = self.row.get(self.next);
        self.next += 1;
        value
    }
}

/// A text that may be long. Whether its bytes are UTF-8 is found out many at a time: one after the other, a kilobyte takes
/// a thousand instructions.
pub(crate) struct LongText(pub(crate) String);

impl FromSql<'_> for LongText {
    fn from_sql(_: &Type, raw: &[u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(simdutf8::basic::from_utf8(raw)?.to_owned()))
    }

    fn accepts(of: &Type) -> bool {
        <&str as FromSql>::accepts(of)
    }
}

/// The number of a transaction, its 32 bits taken for a signed number: so PostgreSQL compares it with those it is given,
/// and so it is given back.
pub(crate) struct Xid(pub(crate) i32);

impl FromSql<'_> for Xid {
    fn from_sql(_: &Type, raw: &[u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(i32::from_be_bytes(raw.try_into()?)))
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::XID
    }
}
