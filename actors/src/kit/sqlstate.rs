//! What an error of PostgreSQL means for whoever asked: one table over the classes of its error codes
//! (PostgreSQL's documentation, appendix A), and the only one.
//!
//! What must stay true: nothing that passes by itself is taken for a mistake of ours, since its caller is told to
//! come again; and no mistake of ours is taken for something that passes, since it would be tried for ever and
//! nobody would look for it. A code that is not known is ours.

/// What an error code says about the statement that got it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The session is over, or never was one: whether the statement took effect is unknown.
    Gone,
    /// The statement was undone for something that passes: the same may be done a little later.
    Passing,
    /// The statement was undone for what it was given: another value may pass.
    Values,
    /// The statement is wrong, or PostgreSQL is: the same will be refused again.
    Ours,
}

/// What this SQLSTATE means.
pub(super) fn meaning(code: &str) -> Meaning {
    match code {
        // Not a word of either side's protocol, though its class is about connections.
        "08P01" => Meaning::Ours,
        // It would violate a constraint; the rest of its class is about other transactions.
        "40002" => Meaning::Values,
        // Whether it was undone is what it says not to know.
        "40003" => Meaning::Gone,
        // Too many sessions: there was none to be had.
        "53300" => Meaning::Gone,
        // Idle for too long in a transaction, and a transaction that took too long: the session is ended.
        "25P03" | "25P04" => Meaning::Gone,
        // We are still connected to a server that only reads since another one took its place.
        "25006" => Meaning::Passing,
        // Somebody uses what is to be changed, or holds its lock.
        "55006" | "55P03" => Meaning::Passing,
        // A statement that took too long, or was called off by an operator; the rest of its class ends sessions.
        "57000" | "57014" => Meaning::Passing,
        // The system's own calls fail; the rest of its class is about files that should be there.
        "58000" | "58030" => Meaning::Passing,
        _ => class(code),
    }
}

fn class(code: &str) -> Meaning {
    match code.get(..2).unwrap_or_default() {
        // Connections; operators, among them those that shut down, start and drop.
        "08" | "57" => Meaning::Gone,
        // Undone in favor of another transaction; no disk, memory or connections left; a snapshot that is too old.
        "40" | "53" | "72" => Meaning::Passing,
        // Data, constraints, and what is too large or complex for a statement.
        "22" | "23" | "54" => Meaning::Values,
        _ => Meaning::Ours,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every class of PostgreSQL 15 to 18, and each code that its class does not speak for.
    const TABLE: [(Meaning, &[&str]); 4] = [
        (
            Meaning::Gone,
            &[
                "08000", "08003", "08006", "08001", "08004", "08007", "25P03", "25P04", "40003", "53300", "57P01",
                "57P02", "57P03", "57P04", "57P05",
            ],
        ),
        (
            Meaning::Passing,
            &[
                "25006", "40000", "40001", "40P01", "53000", "53100", "53200", "53400", "55006", "55P03", "57000",
                "57014", "58000", "58030", "72000",
            ],
        ),
        (
            Meaning::Values,
            &[
                "22000", "22001", "22003", "22021", "22P02", "22P05", "23502", "23503", "23505", "23514", "40002",
                "54000",
            ],
        ),
        (
            Meaning::Ours,
            &[
                "03000", "08P01", "09000", "0A000", "0B000", "0F000", "0L000", "0P000", "0Z000", "10608", "20000",
                "21000", "24000", "25000", "25001", "25P01", "25P02", "26000", "27000", "28000", "28P01", "2B000",
                "2D000", "2F000", "34000", "38000", "39000", "3B000", "3D000", "3F000", "42000", "42501", "42601",
                "42703", "42P01", "44000", "55000", "55P02", "55P04", "58P01", "58P02", "58P03", "F0000", "HV000",
                "P0000", "P0001", "XX000", "XX001", "XX002", "", "5", "nonsense", "é",
            ],
        ),
    ];

    #[test]
    fn whoever_meets_something_that_passes_may_come_again_and_nobody_else() {
        for (expected, codes) in TABLE {
            for code in codes {
                assert_eq!(meaning(code), expected, "{code}");
            }
        }
    }
}
