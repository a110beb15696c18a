//! Why a request goes where it goes, in words: through the same plan as traffic.

use std::fmt::Write;
use std::time::Instant;

use http::header::HOST;
use http::{Method, Request};

use super::mount::{Routing, Upstream};
use super::plan::{Carriage, Plan, plan};
use crate::route::{Step, Tier, Verdict};
use crate::translate::{Manner, Translation};

/// What a request would meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Lines to read.
    pub text: String,
    /// Whether an endpoint would get it. Otherwise Telamon answers itself, with an error.
    pub served: bool,
}

/// The rules that were considered, the one that won, and what it leads to.
pub fn explain(routing: &Routing, request: &Request<()>, now: Instant) -> Explanation {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let served = write_all(&mut text, routing, request, now).unwrap_or(false);
    Explanation { text, served }
}

/// Tells whether an endpoint would get it.
fn write_all(
    out: &mut String,
    routing: &Routing,
    request: &Request<()>,
    now: Instant,
) -> Result<bool, std::fmt::Error> {
    let (head, ()) = request.clone().into_parts();
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
    writeln!(out, "{} {} (host: {})", head.method, head.uri, host.unwrap_or("none"))?;
    let mut steps = routing.table.explain(host, &head.method, head.uri.path(), &head.headers);
    let manner = Manner::of(&head);
    if manner.names_method() {
        // REST rules are not for these callers: after the routes their service is known by its name.
        let by_route = steps.iter().any(|step| step.tier == Tier::Routes && step.verdict == Verdict::Chosen);
        steps.retain(|step| step.tier == Tier::Routes);
        steps.extend(routing.table.service(head.uri.path()).map(|found| Step {
            tier: Tier::Services,
            rule: match found.pattern == found.service {
                true => format!("service {}", found.service),
                false => format!("service {}, by `{}`", found.service, found.pattern),
            },
            origin: found.origin.clone(),
            verdict: if by_route { Verdict::After } else { Verdict::Chosen },
        }));
    }
    let planned = plan(routing, &head, manner, false, now);
    let chosen = steps.iter().any(|step| step.verdict == Verdict::Chosen);
    if planned.is_ok() && !chosen && head.method == Method::HEAD {
        // No rule is for HEAD, and it is answered as a GET is, without the body.
        steps = routing.table.explain(host, &Method::GET, head.uri.path(), &head.headers);
    }
    write_steps(out, &steps)?;
    match planned {
        Ok(plan) => write_plan(out, &plan, now),
        Err(fault) => {
            let answer = fault.answer();
            writeln!(out, "\nanswered by Telamon: {} ({}, gRPC {})", answer.http, answer.flag, answer.grpc.name())?;
            writeln!(out, "  {}", fault.message)?;
            Ok(false)
        }
    }
}

fn write_steps(out: &mut String, steps: &[Step]) -> std::fmt::Result {
    if !steps.is_empty() {
        writeln!(out, "\nrules whose path fits, first asked first:")?;
    }
    let verdicts = width(steps.iter().map(|step| verdict(&step.verdict)), 8);
    let rules = width(steps.iter().map(|step| step.rule.clone()), 0);
    for step in steps {
        writeln!(out, "  {:<verdicts$} {:<rules$}  ({})", verdict(&step.verdict), step.rule, place(step))?;
    }
    Ok(())
}

/// Characters of a column: what its longest entry takes, from `least` up to what a line has room for.
fn width(entries: impl Iterator<Item = String>, least: usize) -> usize {
    const MOST: usize = 100;
    entries.map(|entry| entry.chars().count()).max().unwrap_or(0).clamp(least, MOST)
}

/// Tells whether an endpoint would get it.
fn write_plan(out: &mut String, plan: &Plan, now: Instant) -> Result<bool, std::fmt::Error> {
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
        writeln!(out, "endpoints none: every call is answered with 503")?;
        return Ok(false);
    }
    let served = views.iter().any(|view| view.expected_share > 0.0);
    let none = if served { "" } else { " none has a weight: every call is answered with 503" };
    writeln!(out, "endpoints{none}")?;
    let addresses = width(views.iter().map(|view| view.address.to_string()), 24);
    let weights = width(views.iter().map(|view| view.configured_weight.to_string()), 0);
    for view in views {
        let group = if view.group.is_empty() { String::new() } else { format!("  group {}", view.group) };
        writeln!(
            out,
            "  {:<addresses$} weight {:<weights$}  expected share {:>6.2} %{group}",
            view.address.to_string(),
            view.configured_weight,
            view.expected_share * 100.0,
        )?;
    }
    Ok(served)
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
