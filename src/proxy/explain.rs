//! Why a request goes where it goes, in words: through the same plan as traffic.

use std::fmt::Write;
use std::time::Instant;

use http::Request;
use http::header::HOST;

use super::mount::{Routing, Upstream};
use super::plan::{Carriage, Plan, plan};
use crate::route::{Step, Tier, Verdict};
use crate::translate::{Manner, Translation};

/// The rules that were considered, the one that won, and what it leads to.
pub fn explain(routing: &Routing, request: &Request<()>, now: Instant) -> String {
    let mut told = String::new();
    // Writing to a string cannot fail.
    let _ = write_all(&mut told, routing, request, now);
    told
}

fn write_all(out: &mut String, routing: &Routing, request: &Request<()>, now: Instant) -> std::fmt::Result {
    let (head, ()) = request.clone().into_parts();
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
    writeln!(out, "{} {} (host: {})", head.method, head.uri, host.unwrap_or("none"))?;
    let mut steps = routing.table.explain(host, &head.method, head.uri.path(), &head.headers);
    let manner = Manner::of(&head);
    if manner.names_method() {
        // REST rules are not for these callers: after the routes their service is known by its name.
        steps.retain(|step| step.tier == Tier::Routes);
        if let Some(found) = routing.table.service(head.uri.path()) {
            let target = &found.target.mount.name;
            writeln!(out, "\nservice {} is `{target}`'s, by `{}`  ({})", found.service, found.pattern, found.origin)?;
        }
    }
    if !steps.is_empty() {
        writeln!(out, "\nrules whose path fits, first asked first:")?;
    }
    for step in &steps {
        writeln!(out, "  {:<8} {}  ({})", verdict(&step.verdict), step.rule, place(step))?;
    }
    match plan(routing, &head, manner, now) {
        Ok(plan) => write_plan(out, &plan, now),
        Err(fault) => {
            let answer = fault.answer();
            writeln!(out, "\nanswered by Telamon: {} ({}, gRPC {})", answer.http, answer.flag, answer.grpc.name())?;
            writeln!(out, "  {}", fault.message)
        }
    }
}

fn write_plan(out: &mut String, plan: &Plan, now: Instant) -> std::fmt::Result {
    writeln!(out, "\nservlet   {}", plan.mount.name)?;
    match &plan.carriage {
        Carriage::Grpc { path: Some(path) } => writeln!(out, "dialect   grpc, carried to {path}")?,
        Carriage::Grpc { path: None } => writeln!(out, "dialect   grpc, carried as it is")?,
        Carriage::Translated(Translation::Rest(rest)) => {
            writeln!(out, "dialect   rest, by {}", rest.binding.text)?;
            writeln!(out, "method    {}", rest.method.path)?;
        }
        Carriage::Translated(translation) => {
            writeln!(out, "dialect   {}, carried to {}", translation.dialect().name(), translation.method_path())?;
        }
        Carriage::Http => {
            let protocol = if plan.mount.upstream == Upstream::Http1 { "HTTP/1.1" } else { "HTTP/2" };
            writeln!(out, "dialect   http, untranslated, over {protocol}")?;
        }
    }
    match plan.timeout {
        Some(timeout) => writeln!(out, "timeout   {timeout:?}")?,
        None => writeln!(out, "timeout   none")?,
    }
    writeln!(out, "policy    {}", plan.mount.servlet.policy().name())?;
    let views = plan.mount.servlet.views(now);
    if views.is_empty() {
        return writeln!(out, "endpoints none: every call is answered with 503");
    }
    writeln!(out, "endpoints")?;
    for view in views {
        let group = if view.group.is_empty() { String::new() } else { format!("  group {}", view.group) };
        writeln!(
            out,
            "  {:<24} weight {:<8} expected share {:>6.2} %{group}",
            view.address.to_string(),
            view.configured_weight,
            view.expected_share * 100.0,
        )?;
    }
    Ok(())
}

fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Chosen => "chosen".into(),
        Verdict::After => "after".into(),
        Verdict::OtherHost => "host".into(),
        Verdict::OtherMethod => "method".into(),
        Verdict::NoHeader(name) => format!("no {name}"),
        Verdict::NoVerb => "no verb".into(),
    }
}

fn place(step: &Step) -> String {
    let tier = match step.tier {
        Tier::Routes => "routes",
        Tier::Services => "services",
    };
    format!("{tier}, {}", step.origin)
}
