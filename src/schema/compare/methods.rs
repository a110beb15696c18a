//! Services and methods: what gRPC callers name, and where the types begin that are compared.

use std::sync::Arc;

use super::super::service::{Method, Service};
use super::{Breaks, Comparison, Reach, What};

impl Comparison<'_> {
    pub(super) fn methods(&mut self, reach: &Reach<'_>) {
        let (old, new) = (self.old, self.new);
        for service in old.services().filter(|service| (reach.serves)(&service.full_name)) {
            match new.service(&service.full_name) {
                Some(now) => self.service(service, now),
                None => {
                    let name = &*service.full_name;
                    self.tell(What::ServiceRemoved, name, Breaks::BOTH, service.place.clone(), "removed");
                }
            }
        }
        for service in new.services().filter(|service| (reach.serves)(&service.full_name)) {
            if old.service(&service.full_name).is_none() {
                let name = &*service.full_name;
                self.tell(What::ServiceAdded, name, Breaks::NOBODY, service.place.clone(), "added");
            }
        }
        for (service, method) in reach.calls {
            if !(reach.serves)(service)
                && let (Some(before), Some(now)) = (old.method(service, method), new.method(service, method))
            {
                self.method(before, now);
            }
        }
    }

    fn service(&mut self, before: &Service, now: &Service) {
        for method in &before.methods {
            match now.methods.iter().find(|candidate| candidate.name == method.name) {
                Some(new) => self.method(method, new),
                None => self.tell(What::MethodRemoved, name(method), Breaks::BOTH, now.place.clone(), "removed"),
            }
        }
        for method in &now.methods {
            if !before.methods.iter().any(|other| other.name == method.name) {
                self.tell(What::MethodAdded, name(method), Breaks::NOBODY, method.place.clone(), "added");
            }
        }
    }

    fn method(&mut self, before: &Arc<Method>, now: &Arc<Method>) {
        for (side, was, is) in [
            ("request", before.client_streaming, now.client_streaming),
            ("answer", before.server_streaming, now.server_streaming),
        ] {
            if was != is {
                let (was, is) = if is { ("one message", "a stream") } else { ("a stream", "one message") };
                let told = format!("its {side} was {was}, and is {is}");
                self.tell(What::MethodStreaming, name(before), Breaks::BOTH, now.place.clone(), told);
            }
        }
        if before.no_side_effects && !now.no_side_effects {
            let told = "was declared NO_SIDE_EFFECTS, and is not: Connect callers cannot GET it any more";
            self.tell(What::MethodSideEffects, name(before), Breaks::JSON, now.place.clone(), told);
        }
        for (side, was, is) in [("input", before.input, now.input), ("output", before.output, now.output)] {
            let (was_named, is_named) = (&before.messages.get(was).full_name, &now.messages.get(is).full_name);
            let breaks = self.message_types(was, is);
            if was_named != is_named || breaks.anybody() {
                let told = format!("its {side} was {was_named}, and is {is_named}");
                self.tell(What::MethodRetyped, name(before), breaks, now.place.clone(), told);
            }
        }
    }
}

fn name(method: &Method) -> String {
    format!("{}/{}", method.service, method.name)
}
