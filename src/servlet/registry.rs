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

    /// Makes policy and table those of the servlet of that name, which is created if there is none. `between` is called after each endpoint,
    /// as in [`Servlet::reconfigure`].
    pub fn apply(&self, name: &str, policy: Policy, table: &Table, now: Instant, between: &mut dyn FnMut()) -> Applied {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(servlet) = self.get(name) {
            let before = Some(servlet.snapshot());
            let change = servlet.reconfigure(policy, table, now, between);
            return Applied { servlet, created: false, change, before };
        }
        let servlet = Servlet::empty(Arc::from(name), policy, now);
        let change = servlet.reconfigure(policy, table, now, between);
        let mut next = BTreeMap::clone(&self.servlets.load());
        next.insert(servlet.name().clone(), servlet.clone());
        self.servlets.store(Arc::new(next));
        Applied { servlet, created: true, change, before: None }
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
        let first = registry.apply("echo", Policy::FairLeastRequest, &table(1), now, &mut || ());
        assert!(first.created && first.change.added.len() == 1);
        let second = registry.apply("echo", Policy::RoundRobin, &table(2), now, &mut || ());
        assert!(!second.created && Arc::ptr_eq(&first.servlet, &second.servlet));
        assert_eq!((second.change.reweighted.len(), second.change.kept), (1, 1));
        assert_eq!(first.servlet.policy(), Policy::RoundRobin);
        registry.apply("other", Policy::RoundRobin, &table(1), now, &mut || ());
        assert_eq!(registry.all().keys().map(|name| name.to_string()).collect::<Vec<_>>(), ["echo", "other"]);
        assert!(registry.remove("echo").is_some() && registry.remove("echo").is_none());
        let again = Registry::of([first.servlet.clone()]);
        assert!(Arc::ptr_eq(&again.get("echo").unwrap(), &first.servlet) && again.get("other").is_none());
        assert!(registry.get("echo").is_none() && registry.get("other").is_some());
    }
}
