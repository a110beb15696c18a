//! The real program, in a process of its own.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// A running `telamon`; killed when dropped.
pub struct Program {
    child: Child,
    out: Arc<Told>,
    err: Arc<Told>,
}

/// What came on one of its outputs, so far.
#[derive(Default)]
struct Told {
    text: Mutex<(Vec<u8>, bool)>,
    more: Condvar,
}

impl Told {
    fn gather(mut source: impl Read + Send + 'static) -> Arc<Told> {
        let told = Arc::new(Told::default());
        let here = Arc::clone(&told);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                let read = source.read(&mut buffer).unwrap_or(0);
                let mut text = here.text.lock().unwrap();
                text.0.extend_from_slice(&buffer[..read]);
                text.1 = read == 0;
                here.more.notify_all();
                if read == 0 {
                    return;
                }
            }
        });
        told
    }

    /// Waits until `wanted` finds something in the text; panics with the text when it ends before.
    fn until<T>(&self, wanted: impl Fn(&str) -> Option<T>) -> T {
        let mut text = self.text.lock().unwrap();
        loop {
            let so_far = String::from_utf8_lossy(&text.0).into_owned();
            if let Some(found) = wanted(&so_far) {
                return found;
            }
            assert!(!text.1, "it ended before it said so: {so_far}");
            text = self.more.wait(text).unwrap();
        }
    }

    fn whole(&self) -> String {
        let mut text = self.text.lock().unwrap();
        while !text.1 {
            text = self.more.wait(text).unwrap();
        }
        String::from_utf8_lossy(&text.0).into_owned()
    }
}

/// What a program left when it ended.
#[derive(Debug)]
pub struct Left {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
}

/// Runs `telamon` to its end.
pub fn telamon(args: &[&str]) -> Left {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_telamon")).args(args).stdin(Stdio::null()).output().unwrap();
    Left { status, out: String::from_utf8(stdout).unwrap(), err: String::from_utf8(stderr).unwrap() }
}

impl Program {
    pub fn start(args: &[&str], environment: &[(&str, &Path)]) -> Program {
        let mut child = Command::new(env!("CARGO_BIN_EXE_telamon"))
            .args(args)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (out, err) = (Told::gather(child.stdout.take().unwrap()), Told::gather(child.stderr.take().unwrap()));
        Program { child, out, err }
    }

    /// Waits until standard output holds what is wanted.
    pub fn says<T>(&self, wanted: impl Fn(&str) -> Option<T>) -> T {
        self.out.until(wanted)
    }

    /// Waits until the process log does.
    pub fn logs<T>(&self, wanted: impl Fn(&str) -> Option<T>) -> T {
        self.err.until(wanted)
    }

    /// The addresses of its first listener and of admin, once it serves.
    pub fn addresses(&self) -> (String, String) {
        let after = |text: &str, words: &str| {
            let line = text.lines().find(|line| line.contains(words) && text.contains('\n'))?;
            Some(line.split_once("address=")?.1.split_whitespace().next()?.to_owned())
        };
        self.logs(|text| Some((after(text, " listening listener=")?, after(text, "admin listening")?)))
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    pub async fn end(mut self) -> Left {
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        Left { status, out: self.out.whole(), err: self.err.whole() }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
