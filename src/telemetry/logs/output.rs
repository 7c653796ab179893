//! Standard output, written by a thread of its own, so that nobody who writes a line waits for whoever reads it.
//!
//! ```text
//! line ─▶ buffer, bounded in bytes ─▶ thread: gathers for a moment, one write for all that came
//!            └── full: the line is lost, and counted
//! ```
//!
//! What must stay true: a line is written whole or not at all, in the order in which lines came, and writing one never
//! blocks. The thread gathers before it writes, so that a busy service wakes it 200 times a second and not for each of
//! its lines.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long lines gather.
const GATHER: Duration = Duration::from_millis(5);
/// What the buffer keeps of its memory between bursts.
const KEEP: usize = 64 * 1024;

/// Lines on their way out.
pub(crate) struct Output {
    waiting: Mutex<Waiting>,
    filled: Condvar,
    written: Condvar,
    lost: AtomicU64,
    limit: usize,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// The thread has taken lines and is not done with them.
    writing: bool,
    /// The thread waits for a first line, and has to be woken for it.
    idle: bool,
    /// Somebody waits until everything is written.
    hurry: bool,
}

impl Output {
    /// An output that holds this many bytes for a reader who is slower than the service.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            filled: Condvar::new(),
            written: Condvar::new(),
            lost: AtomicU64::new(0),
            limit,
        }
    }

    /// Has a line written, or counts it as lost. Never waits.
    pub(crate) fn write(&self, line: &[u8]) {
        let mut waiting = self.lock();
        if waiting.bytes.len() + line.len() > self.limit {
            drop(waiting);
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.bytes.extend_from_slice(line);
        let wake = std::mem::take(&mut waiting.idle);
        drop(waiting);
        if wake {
            self.filled.notify_one();
        }
    }

    /// Lines that nobody will ever read.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Waits until what came so far is written, but not for longer than this.
    pub(crate) fn flush(&self, within: Duration) {
        let mut waiting = self.lock();
        waiting.hurry = true;
        self.filled.notify_one();
        let unwritten = |waiting: &mut Waiting| waiting.writing || !waiting.bytes.is_empty();
        // Whether or not it was in time, there is nothing more to be done.
        drop(self.written.wait_timeout_while(waiting, within, unwritten));
    }

    /// Writes what comes, without end.
    pub(crate) fn run(&self, mut to: impl Write) {
        let (mut batch, mut told) = (Vec::new(), 0);
        loop {
            self.next(&mut batch);
            if to.write_all(&batch).and_then(|()| to.flush()).is_err() {
                let lines = memchr::memchr_iter(b'\n', &batch).count();
                self.lost.fetch_add(lines as u64, Ordering::Relaxed);
            } else if self.lost() > told {
                tracing::warn!(log.lost = self.lost() - told, "lines were lost: nobody read them in time");
                told = self.lost();
            }
            batch.clear();
            batch.shrink_to(KEEP);
        }
    }

    /// Waits for lines and takes them all, in exchange for an empty batch.
    fn next(&self, batch: &mut Vec<u8>) {
        let mut waiting = self.lock();
        waiting.writing = false;
        if waiting.bytes.is_empty() {
            waiting.hurry = false;
            self.written.notify_all();
        }
        while waiting.bytes.is_empty() {
            waiting.idle = true;
            waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.idle = false;
        let gathering = |waiting: &mut Waiting| !waiting.hurry;
        let gathered = self.filled.wait_timeout_while(waiting, GATHER, gathering);
        let mut waiting = gathered.unwrap_or_else(PoisonError::into_inner).0;
        waiting.writing = true;
        std::mem::swap(batch, &mut waiting.bytes);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, mpsc};

    use super::*;

    /// Takes each write when the test lets it.
    struct Reader(mpsc::Sender<Vec<u8>>, mpsc::Receiver<()>);

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(bytes.to_vec());
            self.1.recv().map_err(io::Error::other)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn who_writes_never_waits_and_what_does_not_fit_is_counted() {
        let output = Arc::new(Output::new(64));
        let ((read, reads), (allow, allowed)) = (mpsc::channel(), mpsc::channel());
        let run = Arc::clone(&output);
        std::thread::spawn(move || run.run(Reader(read, allowed)));
        output.write(b"first\n");
        assert_eq!(reads.recv().as_deref(), Ok(&b"first\n"[..]));
        // The reader is at a standstill now: ten lines of ten bytes find room for six.
        (0..10).for_each(|_| output.write(b"some line\n"));
        assert_eq!(output.lost(), 4);
        output.flush(Duration::from_millis(1));
        (0..2).for_each(|_| allow.send(()).unwrap_or_else(|_| unreachable!()));
        assert_eq!(reads.recv().map(|batch| batch.len()), Ok(60));
        output.flush(Duration::from_secs(60));
        assert_eq!(output.lost(), 4);
        drop(allow);
        output.write(b"nobody is there\n");
        output.flush(Duration::from_secs(60));
        assert_eq!(output.lost(), 5);
    }
}
