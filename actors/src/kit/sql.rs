//! A statement: one file under `sql/queries`, whose path is its name in spans and metrics.

/// A statement from a file.
#[derive(Debug)]
pub struct Statement {
    /// `domain/verb`: the file, the store's function and the span's summary.
    pub summary: &'static str,
    /// What is sent, without the comment that the file opens with.
    pub text: &'static str,
}

impl Statement {
    /// A statement from a file's content.
    pub const fn new(summary: &'static str, file: &'static str) -> Self {
        Self { summary, text: without_opening_comment(file) }
    }
}

/// Cuts the lines that begin with `--` off the beginning: they are for readers, not for spans.
// Runs while compiling, where an index out of bounds is a compile error.
#[allow(clippy::indexing_slicing)]
const fn without_opening_comment(file: &str) -> &str {
    let bytes = file.as_bytes();
    let mut start = 0;
    while start + 1 < bytes.len() && bytes[start] == b'-' && bytes[start + 1] == b'-' {
        while start < bytes.len() && bytes[start] != b'\n' {
            start += 1;
        }
        if start < bytes.len() {
            start += 1;
        }
    }
    file.split_at(start).1
}

/// `sql!("articles/find")` is the [`Statement`] in `sql/queries/articles/find.sql`.
#[macro_export]
macro_rules! sql {
    ($name:literal) => {{
        static STATEMENT: $crate::kit::sql::Statement = $crate::kit::sql::Statement::new(
            $name,
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../sql/queries/", $name, ".sql")),
        );
        &STATEMENT
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_sent_without_the_comment_that_opens_its_file() {
        assert_eq!(Statement::new("a/b", "-- why\n-- more\nselect 1 -- kept\n").text, "select 1 -- kept\n");
        assert_eq!(Statement::new("a/b", "select 1").text, "select 1");
        assert_eq!(Statement::new("a/b", "-- only").text, "");
    }
}
