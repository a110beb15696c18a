use proptest::prelude::*;

use super::*;

fn over(weights: &[u32], seed: u64) -> Sequence {
    let mut sequence = Sequence::new(seed);
    sequence.rebuild(weights.iter().map(|weight| (None, *weight)));
    sequence
}

fn turns(sequence: &mut Sequence, count: usize) -> Vec<usize> {
    let turn = |_| {
        let index = sequence.first().unwrap();
        sequence.take(index, 1.0 / sequence.weight(index));
        index
    };
    (0..count).map(turn).collect()
}

/// What the debts of the active members sum to, in calls.
fn debts(sequence: &Sequence) -> f64 {
    sequence.slots.iter().filter(|s| s.active).map(|s| s.standing * (s.deadline - sequence.clock)).sum()
}

proptest! {
    /// In virtual time a member of weight w has exactly w deadlines a unit, so any window of as many calls as the weights sum to holds
    /// each exactly by its weight; one call more or less is the tie at its edge. The runs go over several rebasings.
    #[test]
    fn any_window_as_long_as_the_sum_of_the_weights_holds_the_weights(
        weights in prop::collection::vec(1_u32..30, 1..8),
        seed in any::<u64>(),
    ) {
        let total = weights.iter().sum::<u32>() as usize;
        let turns = turns(&mut over(&weights, seed), total * 40 + 6_000);
        for start in (0..turns.len() - total).step_by(7) {
            for (index, weight) in weights.iter().enumerate() {
                let count = turns[start..start + total].iter().filter(|turn| **turn == index).count();
                prop_assert!(count.abs_diff(*weight as usize) <= 1, "{count} calls for weight {weight}");
            }
        }
    }

    /// Equal weights take strict turns: nobody is second before everybody was first.
    #[test]
    fn no_window_holds_more_of_an_endpoint_than_its_part_and_one(
        weights in prop::collection::vec(1_u32..1000, 2..12),
        seed in any::<u64>(),
        window in 1_usize..300,
    ) {
        let total: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
        let turns = turns(&mut over(&weights, seed), 3_000);
        for start in (0..turns.len() - window).step_by(11) {
            for (index, weight) in weights.iter().enumerate() {
                let count = turns[start..start + window].iter().filter(|turn| **turn == index).count() as f64;
                // The others may each be one call behind their deadlines within the window, which makes it that much longer.
                let others = (weights.len() - 1) as f64;
                let most = ((window as f64 + others) * f64::from(*weight) / total).ceil() + 1.0;
                prop_assert!(count <= most, "{count} of {window} calls for weight {weight} of {total}");
                let equal = weights.iter().all(|other| other == weight);
                prop_assert!(!equal || count <= (window as f64 / weights.len() as f64).ceil());
            }
        }
    }

    /// Whatever happens to an order, its debts sum to half a call a member but for the random start of whoever joined, so that
    /// nobody is owed more than the others have had.
    #[test]
    fn debts_stay_bounded(
        weights in prop::collection::vec(1_u32..1_000_000, 1..10),
        steps in prop::collection::vec((0_usize..10, 0_u8..6), 0..400),
    ) {
        let mut sequence = over(&weights, 3);
        let mut joined = 0.0;
        for (index, step) in steps {
            let index = index % weights.len();
            match step {
                0 => joined += if sequence.set_active(index, true) { 0.5 } else { 0.0 },
                1 if sequence.active() > 1 => {
                    sequence.set_active(index, false);
                }
                2 => {
                    sequence.rebuild(weights.iter().enumerate().map(|(i, weight)| (Some(i), *weight)));
                    joined = 0.0;
                }
                3 => {
                    let first = sequence.first().unwrap();
                    sequence.take(first, f64::from(index as u32 + 1) / sequence.weight(first));
                }
                _ => {
                    turns(&mut sequence, 1);
                }
            }
            let off = (debts(&sequence) - sequence.active() as f64 / 2.0).abs();
            prop_assert!(off <= joined + 1e-6, "{off}, {joined}");
        }
    }
}

#[test]
fn the_lightest_and_the_heaviest_weight_hold_their_shares_together() {
    let mut sequence = over(&[1_000_000, 1], 1);
    let turns = turns(&mut sequence, 3_000_003);
    let light = turns.iter().filter(|turn| **turn == 1).count();
    assert!((2..=4).contains(&light), "{light}");
}

#[test]
fn a_change_of_weights_acts_at_once_and_owes_nothing() {
    let mut sequence = over(&[1, 1, 1], 5);
    turns(&mut sequence, 1000);
    sequence.rebuild([(Some(0), 8), (Some(2), 1), (None, 1)]);
    let turns = turns(&mut sequence, 10);
    let counts = [0, 1, 2].map(|index| turns.iter().filter(|turn| **turn == index).count());
    assert!(counts[0].abs_diff(8) <= 1 && counts[1] <= 2 && counts[2] <= 2, "{counts:?}");
}

#[test]
fn who_is_away_moves_nobody_and_comes_back_without_a_burst() {
    let mut sequence = over(&[4, 2, 1, 1], 9);
    turns(&mut sequence, 77);
    sequence.set_active(1, false);
    let away = turns(&mut sequence, 6_000);
    let counts = [0, 1, 2, 3].map(|index| away.iter().filter(|turn| **turn == index).count());
    assert!(counts[1] == 0 && counts[0].abs_diff(4_000) <= 1 && counts[2].abs_diff(1_000) <= 1, "{counts:?}");
    sequence.set_active(1, true);
    let back = turns(&mut sequence, 800);
    for window in back.windows(8) {
        assert!(window.iter().filter(|turn| **turn == 1).count() <= 3);
    }
}

#[test]
fn hiding_costs_nothing() {
    let mut sequence = over(&[1, 1, 1], 2);
    let first = sequence.first().unwrap();
    let key = sequence.hide(first);
    let second = sequence.first().unwrap();
    sequence.take(second, 1.0);
    sequence.show(first, key);
    assert_eq!(sequence.first(), Some(first));
}

#[test]
fn seventy_thousand_members_take_turns() {
    let mut sequence = over(&vec![1; 70_000], 4);
    let mut turns = turns(&mut sequence, 140_000);
    turns.sort_unstable();
    assert!(turns.chunks(2).enumerate().all(|(index, pair)| pair == [index, index]));
}

#[test]
fn an_order_over_nobody_has_no_first() {
    assert_eq!(over(&[], 1).first(), None);
}
