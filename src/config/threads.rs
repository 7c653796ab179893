//! How many threads run tasks. The runtime is there before any other setting is read, so that this one is read twice: for the
//! runtime, and with all others, so that a mistake is told with theirs.

use super::Table;

impl<R: Fn(&str) -> Option<String>> Table<R> {
    /// One fewer than there are cores, at least one: what is left is taken by the threads that hash, export and write lines, and
    /// by the kernel for the network. Each further thread makes requests dearer, for tasks wake one thread from another: on two
    /// cores one thread serves more than two, and takes a fifth to a quarter less of the processor (`loadtest/NOTES.md`).
    pub(super) fn worker_threads(&mut self, cores: usize) -> usize {
        self.count("WORKER_THREADS", cores.saturating_sub(1).max(1)).min(cores)
    }
}

/// Threads that run tasks, no more than there are cores. What is wrong with the setting is told by [`Config::from`](super::Config::from).
pub fn worker_threads(read: impl Fn(&str) -> Option<String>) -> usize {
    let mut table = Table { read, mistakes: Vec::new() };
    table.worker_threads(super::cores())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &str, cores: usize) -> (usize, usize) {
        let mut table = Table { read: |_: &str| Some(value.to_owned()), mistakes: Vec::new() };
        (table.worker_threads(cores), table.mistakes.len())
    }

    #[test]
    fn a_core_is_left_to_others_unless_somebody_says_otherwise() {
        assert_eq!([1, 2, 3, 8].map(|cores| of("", cores)), [(1, 0), (1, 0), (2, 0), (7, 0)]);
        assert_eq!(of("2", 2), (2, 0));
        assert_eq!(of("9", 2), (2, 0), "never more than there are cores");
        assert_eq!(of("none", 8), (7, 1));
    }
}
