//! A timer for one wait after another, of which nearly all end before their time. The runtime takes an entry in and out of its wheel for
//! each `timeout`; this one stays where it is, and looks when it ends whether it was meant to. It leans towards a wake-up too many, once
//! for many waits, over work in each of them.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};

/// One wait at a time. Costs nothing before its first.
#[derive(Debug, Default)]
pub struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    /// Ready at `at`; until then the task is woken at that time, and perhaps once before it.
    pub fn poll(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if sleep.deadline() > at {
            sleep.as_mut().reset(at);
        }
        loop {
            // Whoever waits may have used up its turn, and is to be stopped all the same.
            if pin!(unconstrained(sleep.as_mut())).poll(cx).is_pending() {
                return Poll::Pending;
            }
            if sleep.deadline() == at {
                return Poll::Ready(());
            }
            // It was set for a wait before.
            sleep.as_mut().reset(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    async fn until(timer: &mut Timer, at: Instant) -> Duration {
        let started = Instant::now();
        poll_fn(|cx| timer.poll(at, cx)).await;
        started.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn each_wait_has_its_own_end_whatever_the_one_before_had() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut timer = Timer::default();
        // Begun and given up, then a longer wait, a shorter one, and one that is over already.
        assert!(tokio::time::timeout(second, until(&mut timer, start + second * 5)).await.is_err());
        assert_eq!(until(&mut timer, start + second * 10).await, second * 9);
        assert!(tokio::time::timeout(second, until(&mut timer, start + second * 60)).await.is_err());
        assert_eq!(until(&mut timer, start + second * 12).await, second);
        assert_eq!(until(&mut timer, start).await, Duration::ZERO);
        assert_eq!(until(&mut timer, start + second * 13).await, second);
    }
}
