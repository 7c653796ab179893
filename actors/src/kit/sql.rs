//! A statement: one file under `sql/queries`, whose path is its name in spans and metrics.

/// A statement from a file.
#[derive(Debug)]
pub struct Statement {
    /// `domain/verb`: the file, the store's function and the span's summary.
    pub summary: &'static str,
    /// What is sent, without the comment that the file opens with.
    pub text: &'static str,
    /// `select`, `insert`, `update` or `delete`; `None` for one that does several of these.
    pub operation: Option<&'static str>,
}

impl Statement {
    /// A statement from a file's content.
    pub const fn new(summary: &'static str, file: &'static str) -> Self {
        let text = without_opening_comment(file);
        Self { summary, text, operation: operation(text) }
    }
}

/// The word that a statement begins with, when it says all that the statement does. Files are written in lower case.
#[allow(clippy::indexing_slicing)]
const fn operation(text: &str) -> Option<&'static str> {
    let words = ["select", "insert", "update", "delete"];
    let mut at = 0;
    while at < words.len() {
        if begins_with(text.as_bytes(), words[at].as_bytes()) {
            return Some(words[at]);
        }
        at += 1;
    }
    None
}

#[allow(clippy::indexing_slicing)]
const fn begins_with(text: &[u8], word: &[u8]) -> bool {
    let mut at = 0;
    while at < word.len() {
        if at >= text.len() || text[at] != word[at] {
            return false;
        }
        at += 1;
    }
    true
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

    #[test]
    fn an_operation_is_named_where_one_word_says_it_all() {
        let operation = |text| Statement::new("a/b", text).operation;
        assert_eq!(operation("-- why\nselect 1"), Some("select"));
        assert_eq!(operation("delete from a"), Some("delete"));
        assert_eq!(operation("with a as (insert into b) select 1"), None);
        assert_eq!(operation("sel"), None);
    }
}
