//! The servlets of a process, by name.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;

use super::{Servlet, Snapshot, TableChange};
use crate::balance::Policy;
use crate::model::Table;

/// What applying a table did.
#[derive(Clone, Debug)]
pub struct Applied {
    pub servlet: Arc<Servlet>,
    /// Whether the servlet is new.
    pub created: bool,
    /// For a new servlet: everything is added.
    pub change: TableChange,
    /// What was in force until then. Workers still go on with it: whoever lets go of it last frees all of it, and should have the time.
    pub before: Option<Arc<Snapshot>>,
}

/// A version of a servlet that is not in force yet. Nothing else of it may be prepared until it is, or until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Prepared {
    servlet: Arc<Servlet>,
    created: bool,
    next: Arc<Snapshot>,
    change: TableChange,
}

/// Name to servlet. Read without a lock; changed by one loop.
#[derive(Debug, Default)]
pub struct Registry {
    servlets: ArcSwap<BTreeMap<Arc<str>, Arc<Servlet>>>,
    changing: Mutex<()>,
}

impl Registry {
    pub fn new() -> Registry {
        Registry::default()
    }

    /// A registry of these servlets, by their names.
    pub fn of(servlets: impl IntoIterator<Item = Arc<Servlet>>) -> Registry {
        let by_name = servlets.into_iter().map(|servlet| (servlet.name().clone(), servlet)).collect();
        Registry { servlets: ArcSwap::from_pointee(by_name), changing: Mutex::default() }
    }

    /// Makes policy and table those of the servlet of that name, which is created if there is none.
    pub fn apply(&self, name: &str, policy: Policy, table: &Table, now: Instant) -> Applied {
        self.put(self.prepare(name, policy, table, now, &mut || ()))
    }

    /// What [`Registry::apply`] does, but for putting it in force: all that takes long. `between` is called after each endpoint.
    pub fn prepare(
        &self,
        name: &str,
        policy: Policy,
        table: &Table,
        now: Instant,
        between: &mut dyn FnMut(),
    ) -> Prepared {
        let known = self.get(name);
        let created = known.is_none();
        let servlet = known.unwrap_or_else(|| Servlet::empty(Arc::from(name), policy, now));
        let (next, change) = servlet.next(policy, table, now, between);
        Prepared { servlet, created, next, change }
    }

    /// Puts it in force by one store.
    pub fn put(&self, prepared: Prepared) -> Applied {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let Prepared { servlet, created, next, change } = prepared;
        let before = (!created).then(|| servlet.snapshot());
        servlet.store(next);
        if created {
            let mut next = BTreeMap::clone(&self.servlets.load());
            next.insert(servlet.name().clone(), servlet.clone());
            self.servlets.store(Arc::new(next));
        }
        Applied { servlet, created, change, before }
    }

    /// Forgets a servlet. Who still holds it can go on with it.
    pub fn remove(&self, name: &str) -> Option<Arc<Servlet>> {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = BTreeMap::clone(&self.servlets.load());
        let removed = next.remove(name)?;
        self.servlets.store(Arc::new(next));
        Some(removed)
    }

    pub fn get(&self, name: &str) -> Option<Arc<Servlet>> {
        self.servlets.load().get(name).cloned()
    }

    /// All of them, by name.
    pub fn all(&self) -> Arc<BTreeMap<Arc<str>, Arc<Servlet>>> {
        self.servlets.load_full()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EndpointSpec;

    #[test]
    fn a_servlet_is_created_changed_and_removed_by_name() {
        let now = Instant::now();
        let table = |weight| Table::flat(vec![EndpointSpec { address: "127.0.0.1:1".parse().unwrap(), weight }]);
        let registry = Registry::new();
        let first = registry.apply("echo", Policy::FairLeastRequest, &table(1), now);
        assert!(first.created && first.change.added.len() == 1);
        let second = registry.apply("echo", Policy::RoundRobin, &table(2), now);
        assert!(!second.created && Arc::ptr_eq(&first.servlet, &second.servlet));
        assert_eq!((second.change.reweighted.len(), second.change.kept), (1, 1));
        assert_eq!(first.servlet.policy(), Policy::RoundRobin);
        registry.apply("other", Policy::RoundRobin, &table(1), now);
        assert_eq!(registry.all().keys().map(|name| name.to_string()).collect::<Vec<_>>(), ["echo", "other"]);
        assert!(registry.remove("echo").is_some() && registry.remove("echo").is_none());
        let again = Registry::of([first.servlet.clone()]);
        assert!(Arc::ptr_eq(&again.get("echo").unwrap(), &first.servlet) && again.get("other").is_none());
        assert!(registry.get("echo").is_none() && registry.get("other").is_some());
    }
}
