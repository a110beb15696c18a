//! What is counted and what is not. Callgrind switches at functions, by their names: on at one of these, and off at the other within it.
//! Both must stay functions of their own, hence `inline(never)` and no type parameters.

use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The names of the two, for callgrind.
pub(crate) const SWITCHES: [&str; 2] = ["*counted_instructions*", "*instructions_of_a_peer*"];

/// Does `work`, counted.
pub(crate) fn counted(mut work: impl FnMut()) {
    counted_instructions(&mut work);
}

#[inline(never)]
fn counted_instructions(work: &mut dyn FnMut()) {
    work();
    black_box(());
}

#[inline(never)]
fn instructions_of_a_peer(peer: Pin<&mut dyn Future<Output = ()>>, cx: &mut Context<'_>) -> Poll<()> {
    black_box(peer.poll(cx))
}

/// A caller or a servlet: stands in for another process, and is not counted.
pub(crate) struct Peer<'p>(Pin<Box<dyn Future<Output = ()> + 'p>>);

impl<'p> Peer<'p> {
    pub(crate) fn new(future: impl Future<Output = ()> + 'p) -> Peer<'p> {
        Peer(Box::pin(future))
    }
}

impl Future for Peer<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        instructions_of_a_peer(self.0.as_mut(), cx)
    }
}
