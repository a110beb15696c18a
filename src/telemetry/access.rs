//! The access log: a line a call, written by a thread of its own. A worker formats into its own buffer and hands whole batches over a
//! bounded channel; when the disk or the reader of standard output is too slow, lines are dropped and counted. We would rather lose a
//! line than make a call wait.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use prometheus::IntCounter;

use super::call::CallRecord;
use super::line;
use super::metrics::Metrics;

/// A batch is handed over at this size, or at `OLDEST`. About a hundred lines: enough that the hand-over costs nothing a line.
const BATCH: usize = 32 * 1024;

/// What waits for the writer, in batches. With `BATCH` this bounds the memory to 2 MiB, a second of 40,000 calls or so.
const WAITING: usize = 64;

/// A line is handed over within this time when the worker ticks: what an operator watching the file will bear.
const OLDEST: Duration = Duration::from_secs(1);

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Stdout,
    /// Appended to, and created when missing.
    File(PathBuf),
}

/// The log of the process. A clone is another handle on the same one.
#[derive(Clone)]
pub struct AccessLog {
    to_writer: SyncSender<Message>,
    reopen: Arc<AtomicBool>,
    dropped: IntCounter,
}

/// One worker's end of it.
pub struct WorkerLog {
    to_writer: SyncSender<Message>,
    dropped: IntCounter,
    batch: Batch,
    /// When the first line of the batch was written.
    since: Option<Instant>,
}

#[derive(Default)]
struct Batch {
    text: Vec<u8>,
    lines: u64,
}

enum Message {
    Lines(Batch),
    Reopen,
    /// Answered when everything before it is written.
    Flush(SyncSender<()>),
}

impl AccessLog {
    /// Opens the target and starts the writer.
    ///
    /// # Errors
    /// When the file cannot be opened, or no thread be started.
    pub fn open(target: Target, metrics: &Metrics) -> io::Result<AccessLog> {
        let output = Output::open(&target)?;
        let dropped = metrics.families().access_log_dropped.clone();
        let (to_writer, messages) = sync_channel(WAITING);
        let reopen = Arc::new(AtomicBool::new(false));
        let wanted = Arc::clone(&reopen);
        let writer = Writer { target, output, wanted, dropped: dropped.clone(), failing: false };
        thread::Builder::new().name("access-log".into()).spawn(move || writer.run(&messages))?;
        Ok(AccessLog { to_writer, reopen, dropped })
    }

    /// An end for one worker.
    pub fn worker(&self) -> WorkerLog {
        WorkerLog {
            to_writer: self.to_writer.clone(),
            dropped: self.dropped.clone(),
            batch: Batch::default(),
            since: None,
        }
    }

    /// Opens the file anew, after something has moved it away (SIGUSR1): before the next batch is written. Never waits.
    pub fn reopen(&self) {
        self.reopen.store(true, Ordering::Release);
        // A writer that is behind sees the flag at its next batch; one that rests is woken.
        let _ = self.to_writer.try_send(Message::Reopen);
    }

    /// Waits until what the workers have handed over is written, at most for `limit`. At drain, after each worker has flushed.
    /// Tells whether it was.
    pub fn flush(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let (done, written) = sync_channel(1);
        let mut message = Message::Flush(done);
        while let Err(TrySendError::Full(back)) = self.to_writer.try_send(message) {
            if Instant::now() >= end {
                return false;
            }
            message = back;
            thread::sleep(Duration::from_millis(2)); // the writer is stuck or busy with 2 MiB: nothing wakes us sooner
        }
        written.recv_timeout(end.saturating_duration_since(Instant::now())).is_ok()
    }

    /// Lines lost so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.get()
    }
}

impl WorkerLog {
    /// Adds a call's line at `now`; hands the batch over when it is full.
    pub fn write(&mut self, call: &CallRecord<'_>, now: Instant) {
        if self.batch.text.capacity() == 0 {
            self.batch.text.reserve(BATCH + BATCH / 8);
        }
        line::write(&mut self.batch.text, call);
        self.batch.lines += 1;
        self.since.get_or_insert(now);
        if self.batch.text.len() >= BATCH {
            self.flush();
        }
    }

    /// To be called by a timer of the worker's: hands over what has waited for a second.
    pub fn flush_if_older(&mut self, now: Instant) {
        if self.since.is_some_and(|since| now.saturating_duration_since(since) >= OLDEST) {
            self.flush();
        }
    }

    /// Hands over what there is, or drops it when the writer is behind. Never waits.
    pub fn flush(&mut self) {
        self.since = None;
        if self.batch.lines == 0 {
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        if let Err(
            TrySendError::Full(Message::Lines(mut batch)) | TrySendError::Disconnected(Message::Lines(mut batch)),
        ) = self.to_writer.try_send(Message::Lines(batch))
        {
            self.dropped.inc_by(batch.lines);
            batch.text.clear();
            self.batch = Batch { text: batch.text, lines: 0 };
        }
    }
}

impl Drop for WorkerLog {
    fn drop(&mut self) {
        self.flush();
    }
}

enum Output {
    Stdout,
    File(File),
}

impl Output {
    fn open(target: &Target) -> io::Result<Output> {
        match target {
            Target::Stdout => Ok(Output::Stdout),
            Target::File(path) => open_file(path).map(Output::File),
        }
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        match self {
            Output::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(text)?;
                stdout.flush()
            }
            Output::File(file) => file.write_all(text),
        }
    }
}

fn open_file(path: &Path) -> io::Result<File> {
    // Opening a pipe waits for its reader, and writing to one waits with it.
    if std::fs::metadata(path).is_ok_and(|meta| meta.file_type().is_fifo()) {
        return Err(io::Error::other(format!("access log {}: is a pipe; name a file", path.display())));
    }
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .map_err(|error| io::Error::new(error.kind(), format!("access log {}: {error}", path.display())))
}

struct Writer {
    target: Target,
    output: Output,
    /// Whether the file is to be opened anew.
    wanted: Arc<AtomicBool>,
    dropped: IntCounter,
    /// Whether the last write failed: told when it changes, not at every batch.
    failing: bool,
}

impl Writer {
    fn run(mut self, messages: &Receiver<Message>) {
        while let Ok(message) = messages.recv() {
            if self.wanted.swap(false, Ordering::Acquire) {
                self.reopen();
            }
            match message {
                Message::Lines(batch) => self.write(&batch),
                Message::Reopen => {}
                // Who asked may have stopped waiting.
                Message::Flush(done) => drop(done.try_send(())),
            }
        }
    }

    fn write(&mut self, batch: &Batch) {
        match self.output.write(&batch.text) {
            Ok(()) if self.failing => {
                self.failing = false;
                tracing::info!("the access log can be written again");
            }
            Ok(()) => {}
            Err(error) => {
                self.dropped.inc_by(batch.lines);
                if !self.failing {
                    self.failing = true;
                    tracing::warn!(%error, "the access log cannot be written: its lines are lost until it can");
                }
            }
        }
    }

    /// Keeps the old file when the new one cannot be opened: lines in the wrong place are better than none.
    fn reopen(&mut self) {
        match Output::open(&self.target) {
            Ok(output) => self.output = output,
            Err(error) => tracing::warn!(%error, "the access log stays on its old file"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn opened(path: &Path) -> AccessLog {
        AccessLog::open(Target::File(path.to_owned()), &Metrics::new()).unwrap()
    }

    fn lines(path: &Path) -> Vec<String> {
        fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn every_line_of_every_worker_arrives_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("access.json");
        fs::write(&path, "{\"old\":1}\n").unwrap();
        let log = opened(&path);
        thread::scope(|scope| {
            for worker in ["a", "b", "c"] {
                let mut log = log.worker();
                scope.spawn(move || {
                    for _ in 0..300 {
                        log.write(&CallRecord { listener: worker, ..CallRecord::example() }, Instant::now());
                    }
                });
            }
        });
        assert!(log.flush(LONG));
        let lines = lines(&path);
        assert_eq!((lines.len(), log.dropped()), (901, 0));
        for line in &lines {
            serde_json::from_str::<serde_json::Value>(line).unwrap();
        }
        for worker in ["a", "b", "c"] {
            let start = format!("\"listener\":\"{worker}\"");
            assert_eq!(lines.iter().filter(|line| line.contains(&start)).count(), 300);
        }
    }

    #[test]
    fn a_line_waits_for_a_second_and_no_longer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("access.json");
        let log = opened(&path);
        let mut worker = log.worker();
        let start = Instant::now();
        worker.write(&CallRecord::example(), start);
        worker.write(&CallRecord::example(), start + OLDEST / 2);
        worker.flush_if_older(start + OLDEST - Duration::from_nanos(1));
        assert!(log.flush(LONG));
        assert_eq!(lines(&path).len(), 0);
        worker.flush_if_older(start + OLDEST);
        assert!(log.flush(LONG));
        assert_eq!(lines(&path).len(), 2);
    }

    #[test]
    fn a_moved_file_is_left_after_reopening() {
        let dir = tempfile::tempdir().unwrap();
        let (path, moved) = (dir.path().join("access.json"), dir.path().join("access.json.1"));
        let log = opened(&path);
        let mut worker = log.worker();
        let mut write = || {
            worker.write(&CallRecord::example(), Instant::now());
            worker.flush();
        };
        write();
        assert!(log.flush(LONG));
        fs::rename(&path, &moved).unwrap();
        write();
        log.reopen();
        write();
        assert!(log.flush(LONG));
        assert_eq!((lines(&moved).len(), lines(&path).len()), (2, 1));

        // What cannot be opened again leaves the log where it is.
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        log.reopen();
        write();
        assert!(log.flush(LONG));
        assert_eq!(log.dropped(), 0);
    }

    #[test]
    fn a_writer_that_is_stuck_costs_lines_and_never_a_wait() {
        let metrics = Metrics::new();
        let dropped = metrics.families().access_log_dropped.clone();
        let (to_writer, messages) = sync_channel(WAITING); // nobody reads
        let log = AccessLog { to_writer, reopen: Arc::default(), dropped };
        let mut worker = log.worker();
        for _ in 0..WAITING + 3 {
            worker.write(&CallRecord::example(), Instant::now());
            worker.flush();
        }
        assert_eq!(log.dropped(), 3);
        assert!(metrics.render().contains("telamon_access_log_dropped_lines_total 3\n"));
        assert!(!log.flush(Duration::ZERO));
        drop(messages);
        worker.write(&CallRecord::example(), Instant::now());
        drop(worker);
        assert_eq!(log.dropped(), 4);
    }

    #[test]
    fn a_disk_that_refuses_costs_lines() {
        // Every write to it fails for want of space (full(4)).
        let log = opened(Path::new("/dev/full"));
        let mut worker = log.worker();
        (0..5).for_each(|_| worker.write(&CallRecord::example(), Instant::now()));
        worker.flush();
        assert!(log.flush(LONG));
        assert_eq!(log.dropped(), 5);
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let Err(error) = AccessLog::open(Target::File("/nowhere/access.json".into()), &Metrics::new()) else {
            panic!("it was opened")
        };
        assert!(error.to_string().contains("/nowhere/access.json"), "{error}");
    }
}
