//! Going away in two steps: stop taking work and finish what is there, then end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Serving,
    Draining { until: Instant },
    Ended,
}

/// Held by whoever decides.
#[derive(Debug)]
pub struct DrainControl {
    step: watch::Sender<Step>,
    draining: Arc<AtomicBool>,
}

/// Held by whoever has to act on it.
#[derive(Clone, Debug)]
pub struct Drain {
    step: watch::Receiver<Step>,
    /// The same fact without the channel's lock, for every call to read.
    draining: Arc<AtomicBool>,
}

impl DrainControl {
    pub fn new() -> (DrainControl, Drain) {
        let (sender, receiver) = watch::channel(Step::Serving);
        let draining = Arc::new(AtomicBool::new(false));
        (DrainControl { step: sender, draining: Arc::clone(&draining) }, Drain { step: receiver, draining })
    }

    /// Readiness off, listeners closed, connections told to go; what is in flight has `limit` to finish.
    pub fn begin(&self, limit: Duration) {
        let until = super::now() + limit;
        self.draining.store(true, Ordering::Relaxed);
        self.step.send_if_modified(|step| {
            let first = *step == Step::Serving;
            if first {
                *step = Step::Draining { until };
            }
            first
        });
    }

    /// Whatever is left ends now.
    pub fn end(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.step.send_replace(Step::Ended);
    }
}

impl Drain {
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Whether nothing may go on: `over`, without waiting for it.
    pub fn is_over(&self) -> bool {
        match *self.step.borrow() {
            Step::Serving => false,
            Step::Draining { until } => until <= super::now(),
            Step::Ended => true,
        }
    }

    /// Until draining begins.
    pub async fn begun(&mut self) {
        // A dropped control is the end of the process.
        let _ = self.step.wait_for(|step| *step != Step::Serving).await;
    }

    /// `begun`, owning what it waits on.
    pub async fn into_begun(mut self) {
        self.begun().await;
    }

    /// Until nothing may go on: draining has run out of time, or was cut short.
    pub async fn over(&mut self) {
        let until = match self.step.wait_for(|step| *step != Step::Serving).await.map(|step| *step) {
            Ok(Step::Draining { until }) => until,
            Ok(Step::Serving | Step::Ended) | Err(_) => return,
        };
        tokio::select! {
            () = tokio::time::sleep_until(until.into()) => {}
            _ = self.step.wait_for(|step| *step == Step::Ended) => {}
        }
    }

    /// `over`, owning what it waits on.
    pub async fn into_over(mut self) {
        self.over().await;
    }
}
