//! What many wishes about the same pair come to: pure functions.
//!
//! A batch can hold several wishes about one pair of article and user. The statement gets only the last
//! one of each; what each caller is told follows from the state before and the order of the wishes.

use std::collections::HashMap;
use std::hash::Hash;

/// The last wish about each pair, at the place of its first one.
pub(super) fn last_wishes<K: Hash + Eq + Clone>(wishes: &[(K, bool)]) -> Vec<(K, bool)> {
    let mut places: HashMap<&K, usize> = HashMap::new();
    let mut last: Vec<(K, bool)> = Vec::new();
    for (pair, wanted) in wishes {
        let place = *places.entry(pair).or_insert(last.len());
        match last.get_mut(place) {
            Some(wish) => wish.1 = *wanted,
            None => last.push((pair.clone(), *wanted)),
        }
    }
    last
}

/// For each wish whether its pair was already in the wanted state when its turn came, given which pairs
/// were favorited before all of them.
pub(super) fn already_so<K: Hash + Eq>(wishes: &[(K, bool)], before: impl Fn(&K) -> bool) -> Vec<bool> {
    let mut now: HashMap<&K, bool> = HashMap::new();
    let turn = |(pair, wanted)| now.insert(pair, wanted).unwrap_or_else(|| before(pair)) == wanted;
    wishes.iter().map(|(pair, wanted)| (pair, *wanted)).map(turn).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_batch_says_and_does_what_its_wishes_would_one_after_the_other(
            wishes in prop::collection::vec((0_u8..5, any::<bool>()), 0..40),
            before in prop::collection::hash_set(0_u8..5, 0..5),
        ) {
            let mut state: HashSet<u8> = before.clone();
            let mut said = Vec::new();
            for (pair, wanted) in &wishes {
                said.push(state.contains(pair) == *wanted);
                if *wanted { state.insert(*pair); } else { state.remove(pair); }
            }
            prop_assert_eq!(already_so(&wishes, |pair| before.contains(pair)), said);

            let mut batched = before;
            for (pair, wanted) in last_wishes(&wishes) {
                if wanted { batched.insert(pair); } else { batched.remove(&pair); }
            }
            prop_assert_eq!(batched, state);
        }

        #[test]
        fn each_pair_reaches_the_statement_once(wishes in prop::collection::vec((0_u8..5, any::<bool>()), 0..40)) {
            let last = last_wishes(&wishes);
            let pairs: HashSet<u8> = last.iter().map(|(pair, _)| *pair).collect();
            prop_assert_eq!(pairs.len(), last.len());
        }
    }
}
