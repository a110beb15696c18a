//! Frames that only cost work, against what earns them: a peer that sends nothing else is flooding.

use std::time::{Duration, Instant};

/// What a connection's peer may still send for nothing.
#[derive(Debug)]
pub(super) struct Budgets {
    /// For frames that bring nothing. Keep-alive pings, and the pings by which gRPC callers measure the bandwidth while they read
    /// answers, stay far within it.
    idle: Budget,
    bytes_written: usize,
    /// For frames that keep an exchange going: windows, as data is read, and resets.
    upkeep: Budget,
    /// For streams that we had to reset.
    resets: Budget,
    clock: fn() -> Instant,
}

impl Budgets {
    /// Bytes written that earn one more: well over the size of an acknowledgement, so that these earn nothing.
    const BYTES_EACH: usize = 64;

    /// A stream's one reset, and what some gRPC callers say of its window before an answer and as messages are wanted.
    const UPKEEP_OF_STREAM: u32 = 8;

    /// The windows that a peer may be expected to open for a frame of data, and for so many bytes in it. One a frame and one for the
    /// connection is usual; libraries are known that say so for each piece that is read of it.
    const UPKEEP_OF_DATA: usize = 10;
    const UPKEEP_BYTES: usize = 256;

    /// Each costs a look at every stream. Once or twice is lawful (RFC 9113 §6.8).
    const OF_GOAWAY: u32 = 100;

    pub(super) fn new(clock: fn() -> Instant) -> Budgets {
        Budgets {
            idle: Budget::new(Budget::FULL),
            bytes_written: 0,
            upkeep: Budget::new(u32::MAX),
            resets: Budget::new(Budget::FULL),
            clock,
        }
    }

    /// A stream was opened.
    pub(super) fn opened(&mut self) {
        self.idle.earn(1);
        self.upkeep.earn(Budgets::UPKEEP_OF_STREAM);
    }

    /// Data came.
    pub(super) fn fed(&mut self) {
        self.idle.earn(1);
    }

    /// A frame of data was sent.
    pub(super) fn sent(&mut self, len: usize) {
        let more = Budgets::UPKEEP_OF_DATA + len / Budgets::UPKEEP_BYTES;
        self.upkeep.earn(u32::try_from(more).unwrap_or(u32::MAX));
    }

    /// Bytes have left.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.bytes_written = self.bytes_written.saturating_add(bytes);
        self.idle.earn(u32::try_from(self.bytes_written / Budgets::BYTES_EACH).unwrap_or(u32::MAX));
        self.bytes_written %= Budgets::BYTES_EACH;
    }

    /// A frame came that brings nothing. False when that is too much.
    pub(super) fn spend(&mut self) -> bool {
        self.idle.spend(1, self.clock)
    }

    /// A stream had to be reset.
    pub(super) fn spend_reset(&mut self) -> bool {
        self.resets.spend(1, self.clock)
    }

    pub(super) fn spend_goaway(&mut self) -> bool {
        self.idle.spend(Budgets::OF_GOAWAY, self.clock)
    }

    /// A reset or a window came. Of streams that are no more they are passed over, and so would be without end.
    pub(super) fn spend_upkeep(&mut self) -> bool {
        self.upkeep.spend(1, self.clock)
    }
}

#[derive(Debug)]
struct Budget {
    left: u32,
    most: u32,
    since: Option<Instant>,
}

impl Budget {
    /// What it begins with.
    const FULL: u32 = 1_000;

    /// Given back in a second, whatever else happens.
    const PER_SECOND: f64 = 20.0;

    /// `most`: what can be saved up.
    fn new(most: u32) -> Budget {
        Budget { left: Budget::FULL.min(most), most, since: None }
    }

    fn earn(&mut self, frames: u32) {
        self.left = self.left.saturating_add(frames).min(self.most);
    }

    fn spend(&mut self, price: u32, clock: fn() -> Instant) -> bool {
        if self.left < price {
            let now = clock();
            let since = self.since.replace(now).map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
            self.earn(((since.as_secs_f64() * Budget::PER_SECOND) as u32).min(Budget::FULL));
        } else if self.since.is_none() {
            self.since = Some(clock());
        }
        let is_enough = self.left >= price;
        self.left = self.left.saturating_sub(price);
        is_enough
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        static NOW: Cell<Instant> = Cell::new(Instant::now());
    }

    fn spent(budgets: &mut Budgets, spend: fn(&mut Budgets) -> bool) -> usize {
        (0..1_000_000).take_while(|_| spend(budgets)).count()
    }

    #[test]
    fn idle_frames_are_earned_by_work_and_by_time() {
        let mut budgets = Budgets::new(|| NOW.get());
        assert_eq!(spent(&mut budgets, Budgets::spend), 1_000);
        budgets.opened();
        budgets.fed();
        budgets.wrote(640);
        assert_eq!(spent(&mut budgets, Budgets::spend), 12);
        NOW.set(NOW.get() + Duration::from_secs(5));
        assert_eq!(spent(&mut budgets, Budgets::spend), 100);
        NOW.set(NOW.get() + Duration::from_secs(3600));
        assert_eq!(spent(&mut budgets, Budgets::spend), 1_000);
        assert!(!budgets.spend_goaway());
    }

    #[test]
    fn what_keeps_an_exchange_going_is_earned_by_it() {
        let mut budgets = Budgets::new(|| NOW.get());
        assert_eq!(spent(&mut budgets, Budgets::spend_upkeep), 1_000);
        budgets.opened();
        budgets.sent(16_384);
        assert_eq!(spent(&mut budgets, Budgets::spend_upkeep), 8 + 10 + 64);
    }
}
