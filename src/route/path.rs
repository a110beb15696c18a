//! Paths: a tree of segments. Each node asks its literal first, then `*`, then `**`, and goes back when a branch fails further down. A
//! look-up visits a node at most once, so that its cost is bounded by the table's size, and its depth by the longest template.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use foldhash::fast::FixedState;

use crate::schema::{RequestPath, Segment, Segments, Template, normalise};

// Keys are the operator's; a caller only probes, so a fixed seed gives nothing to attack.
type Map<V> = HashMap<Box<str>, V, FixedState>;

/// Entries by path, as their numbers.
#[derive(Debug, Default)]
pub(super) struct Paths {
    plain: Tree,
    /// Templates that end in a custom verb, by the verb.
    verbs: Map<Tree>,
}

#[derive(Debug)]
struct Tree {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    literals: Map<usize>,
    one: Option<usize>,
    /// Entries whose path ends here.
    ends: Vec<usize>,
    /// Entries with `**` here.
    rest: Vec<usize>,
}

/// What is asked for each set of entries whose path fits, most specific first, until one is taken.
pub(super) trait Probe {
    /// The entry that takes the request, of those that share one path. They are in order.
    fn ask(&mut self, entries: &[usize]) -> Option<usize>;

    /// Whether any entry has been asked about since the last `forget`.
    fn was_asked(&self) -> bool;

    fn forget(&mut self);
}

impl Default for Tree {
    fn default() -> Tree {
        Tree { nodes: vec![Node::default()] }
    }
}

impl Paths {
    pub(super) fn insert(&mut self, template: &Template, entry: usize) {
        let tree = match template.verb() {
            None => &mut self.plain,
            Some(verb) => self.verbs.entry(verb.into()).or_default(),
        };
        tree.insert(template.segments(), entry);
    }

    /// Each set of entries that share one path.
    pub(super) fn sets(&mut self) -> impl Iterator<Item = &mut Vec<usize>> {
        let trees = std::iter::once(&mut self.plain).chain(self.verbs.values_mut());
        trees.flat_map(|tree| &mut tree.nodes).flat_map(|node| [&mut node.ends, &mut node.rest])
    }

    /// A path whose last colon begins a verb that a template for this path has is read so, and no other way: `/v1/a:cancel` is no
    /// `/v1/{name}` where there is `/v1/{name}:cancel`, whatever their methods.
    pub(super) fn find(&self, path: RequestPath<'_>, probe: &mut impl Probe) -> Option<usize> {
        if !self.verbs.is_empty()
            && let Some((segments, verb)) = path.with_verb()
            && let Some(tree) = self.verbs.get(&*normalise(verb))
        {
            probe.forget();
            let found = tree.find(0, segments, probe);
            if found.is_some() || probe.was_asked() {
                return found;
            }
        }
        self.plain.find(0, path.segments(), probe)
    }
}

impl Tree {
    fn insert(&mut self, segments: &[Segment], entry: usize) {
        let mut at = 0;
        for segment in segments {
            let fresh = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else { return };
            at = match segment {
                Segment::Rest => {
                    node.rest.push(entry);
                    return;
                }
                Segment::One => *node.one.get_or_insert(fresh),
                Segment::Literal(text) => match node.literals.entry(text.clone()) {
                    Slot::Occupied(slot) => *slot.get(),
                    Slot::Vacant(slot) => *slot.insert(fresh),
                },
            };
            if at == fresh {
                self.nodes.push(Node::default());
            }
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.ends.push(entry);
        }
    }

    /// From a node on; recursion ends with the tree, which is as deep as the longest template.
    fn find(&self, node: usize, segments: Segments<'_>, probe: &mut impl Probe) -> Option<usize> {
        let node = self.nodes.get(node)?;
        let mut after = segments;
        let found = match after.next_spelled() {
            None => ask(&node.ends, probe),
            Some(first) => {
                let literal = node.literals.get(&*first).and_then(|child| self.find(*child, after, probe));
                literal.or_else(|| node.one.and_then(|child| self.find(child, after, probe)))
            }
        };
        found.or_else(|| ask(&node.rest, probe))
    }
}

fn ask(entries: &[usize], probe: &mut impl Probe) -> Option<usize> {
    if entries.is_empty() { None } else { probe.ask(entries) }
}
