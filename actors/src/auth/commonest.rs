//! The passwords that everybody tries first: a list that is compiled in, and how it is looked into.
//!
//! The list is text in the order of its lines' bytes, searched by halves where it lies: it costs a start nothing.

/// The list, under a few lines about where it is from.
const LIST: &str = include_str!("commonest_passwords.txt");

/// Whether a password is one of the commonest, in whatever case.
pub(super) fn holds(password: &str) -> bool {
    let lines = LIST.split_once("\n\n").map_or(LIST, |(_, lines)| lines);
    search(lines, &password.to_lowercase())
}

/// Whether one of these lines, which are in the order of their bytes, is this text.
fn search(mut lines: &str, text: &str) -> bool {
    while !lines.is_empty() {
        // The line in the middle: from behind the last end of a line before it, to its own end.
        let middle = lines.len() / 2;
        let end_of_line = |byte: &u8| *byte == b'\n';
        let before = lines.as_bytes().iter().take(middle).rposition(end_of_line).map_or(0, |at| at + 1);
        let (earlier, rest) = lines.split_at_checked(before).unwrap_or((lines, ""));
        let (line, later) = rest.split_once('\n').unwrap_or((rest, ""));
        match text.cmp(line) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => lines = earlier,
            std::cmp::Ordering::Greater => lines = later,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn listed() -> Vec<&'static str> {
        LIST.lines().skip_while(|line| !line.is_empty()).skip(1).collect()
    }

    #[test]
    fn each_password_of_the_list_is_found_in_whatever_case_and_nothing_about_the_list_is() {
        assert!(listed().len() > 8000);
        for password in listed() {
            assert!(holds(password) && holds(&password.to_uppercase().to_lowercase()), "{password}");
        }
        assert!(holds("PassWord") && holds("12345678") && holds("QwertyUiop"));
        for other in ["", "\n", "# ", "correct horse battery", "password\n", "passwor"] {
            assert!(!holds(other), "{other:?}");
        }
        for line in LIST.lines().take_while(|line| !line.is_empty()) {
            assert!(!holds(line), "{line}");
        }
    }

    #[test]
    fn the_list_holds_only_what_could_be_chosen_each_once_in_lower_case_and_in_order() {
        let listed = listed();
        assert!(listed.is_sorted() && listed.iter().collect::<BTreeSet<_>>().len() == listed.len());
        for password in listed {
            assert!((8..=128).contains(&password.chars().count()) && *password == password.to_lowercase());
        }
    }

    proptest! {
        #[test]
        fn whatever_the_lines_exactly_they_are_found(lines in prop::collection::btree_set("[a-c]{1,3}|ä", 0..20), text in "[a-c]{0,3}|ä") {
            let joined: String = lines.iter().map(|line| format!("{line}\n")).collect();
            prop_assert_eq!(search(&joined, &text), lines.contains(&text));
        }
    }
}
