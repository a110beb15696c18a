//! One servlet from its files, or all that is wrong with them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bindings::bind;
use super::checks::check;
use super::last_good::{self, Asks};
use super::protos::{self, Compiled};
use super::reading::{Reading, Recorder, Sources};
use super::servlet_file::{self, RouteLine, SchemaLine, ServicePattern, ServletFile};
use super::settings::{Defaults, FilePath};
use super::{Reflected, RouteBinding, RouteDef, SchemaChange, ServiceDef, ServletDef, Upstream};
use crate::discovery::{Lenient, Problem, Reader, Spanned, display_name, resolve, table};
use crate::model::Table;
use crate::schema::Schema;

/// What a servlet's files came to.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) result: Result<Arc<ServletDef>, Vec<Problem>>,
    pub(super) sources: Sources,
    /// The last schema that could be compiled, by this attempt or an earlier one.
    pub(super) compiled: Option<Arc<Compiled>>,
    /// What its endpoints are asked, whether or not it is whole.
    pub(super) asks: Option<Asks>,
    /// What differs for callers from the version that runs; to be told when this one is taken.
    pub(super) changes: Vec<SchemaChange>,
    /// Whether it failed for these changes alone.
    pub(super) gated: bool,
}

impl Attempt {
    pub(super) fn new(
        result: Result<Arc<ServletDef>, Vec<Problem>>,
        sources: Sources,
        compiled: Option<Arc<Compiled>>,
    ) -> Attempt {
        Attempt { result, sources, compiled, asks: None, changes: Vec::new(), gated: false }
    }
}

/// What every servlet is loaded with.
pub(super) struct Surroundings<'s> {
    /// The directory of `telamon.yaml`.
    pub(super) root: &'s Path,
    /// The directory of what is kept from run to run.
    pub(super) state: &'s Path,
    pub(super) defaults: &'s Defaults,
}

/// Loads the servlet `name` from the file at `path`. `compiled` is what the attempt before it had; `starts`: nothing runs that has a schema
/// which its endpoints told.
///
/// Descriptors that were kept from an earlier run may be broken, or older than the files that are to go with them. They are no
/// operator's mistake: a servlet that starts and would be whole without them is taken so, and waits for new ones.
pub(super) fn servlet(
    name: &str,
    path: &Path,
    around: &Surroundings<'_>,
    reading: &mut Reading,
    compiled: Option<Arc<Compiled>>,
    starts: bool,
) -> Attempt {
    let kept = last_good::path(around.state, name);
    let descriptors = Descriptors { path: kept, ignored: None, compiled, asks: None };
    let first = attempt(name, path, around, reading, descriptors.clone());
    match &first.result {
        Err(problems) if starts && first.asks.is_some() => {
            let problem = problems.first().map_or_else(String::new, ToString::to_string);
            let ignored = Some(format!("what was fetched in an earlier run does not fit: {problem}"));
            let second = attempt(name, path, around, reading, Descriptors { ignored, ..descriptors });
            if second.result.is_ok() { second } else { first }
        }
        Ok(_) | Err(_) => first,
    }
}

fn attempt(
    name: &str,
    path: &Path,
    around: &Surroundings<'_>,
    reading: &mut Reading,
    mut descriptors: Descriptors,
) -> Attempt {
    let mut sources = Sources::default();
    let mut files = reading.for_servlet(&mut sources);
    let mut reader = Reader::new(display_name(path), path.parent().unwrap_or(Path::new("")));
    let mut elsewhere = Vec::new();
    let def = match files.text(path) {
        Ok(text) => assemble(name, &text, around, &mut descriptors, &mut files, &mut reader, &mut elsewhere),
        Err(problem) => {
            elsewhere.push(*problem);
            None
        }
    };
    let mut problems = reader.into_problems();
    problems.append(&mut elsewhere);
    let result = match def {
        Some(def) if problems.is_empty() => Ok(Arc::new(def)),
        _ => Err(problems),
    };
    Attempt { asks: descriptors.asks, ..Attempt::new(result, sources, descriptors.compiled) }
}

fn assemble(
    name: &str,
    text: &str,
    around: &Surroundings<'_>,
    descriptors: &mut Descriptors,
    files: &mut Recorder<'_>,
    reader: &mut Reader,
    elsewhere: &mut Vec<Problem>,
) -> Option<ServletDef> {
    let (file, options) = servlet_file::parse(text, reader, around.defaults)?;
    let table =
        file.value.endpoints.0.as_ref().and_then(|path| read_table(name, path.as_ref(), files, reader, elsewhere));
    if let Some(Some(SchemaLine::Reflection(_))) = &file.value.schema.0 {
        descriptors.asks = Some(Asks { services: file.value.asked_services(), table: table.clone() });
    }
    let mut reflected = None;
    let schema = match &file.value.schema.0 {
        Some(Some(SchemaLine::Files(paths))) => {
            let last = &mut descriptors.compiled;
            match protos::load(paths, around.root, last.as_ref(), files, reader) {
                Ok(new) => Some(Some(Arc::clone(&last.insert(new).schema))),
                Err(problems) => {
                    elsewhere.extend(problems);
                    None
                }
            }
        }
        Some(Some(SchemaLine::Reflection(_))) => {
            let told = descriptors.read(name, files, elsewhere);
            reflected = told.as_ref().map(|(_, how)| how.clone());
            told.map(|(schema, _)| schema)
        }
        Some(None) => Some(None),
        None => None,
    };
    let is_pending = matches!(reflected, Some(Reflected::Pending(_)));
    check(&file, schema.as_ref().filter(|_| !is_pending), reader);
    let schema_of_rules = schema.as_ref().and_then(Option::as_deref);
    let bindings = file.value.routes.0.as_ref().map(|routes| bind(routes, schema_of_rules, reader));
    let ServletFile { services, routes, upstream, timeout, .. } = file.value;
    let services = services.0?.unwrap_or(Spanned { value: Vec::new(), at: file.at });
    Some(ServletDef {
        name: Arc::from(name),
        file: Arc::from(reader.file()),
        compiled: descriptors.compiled.clone().filter(|_| schema.as_ref().is_some_and(Option::is_some)),
        schema: schema?,
        reflected,
        upstream: upstream.0.unwrap_or(Upstream::Grpc),
        services_at: services.at,
        services: services.value.into_iter().map(service).collect::<Option<_>>()?,
        routes: bound(routes.0?, bindings.unwrap_or_default())?,
        table: table?,
        timeout: timeout.0?,
        unary_timeout: around.defaults.timeout,
        options: options?,
    })
}

/// What is known of a servlet's schema besides its file.
#[derive(Clone)]
struct Descriptors {
    /// Where those are kept that its endpoints told.
    path: PathBuf,
    /// Why they are not to be used.
    ignored: Option<String>,
    /// The last schema that could be compiled.
    compiled: Option<Arc<Compiled>>,
    /// What the endpoints are asked.
    asks: Option<Asks>,
}

impl Descriptors {
    /// The schema that the endpoints told, unless there is none yet, and how far it is known; `None` when it is broken, which goes to
    /// `elsewhere`.
    fn read(
        &mut self,
        servlet: &str,
        files: &mut Recorder<'_>,
        elsewhere: &mut Vec<Problem>,
    ) -> Option<(Option<Arc<Schema>>, Reflected)> {
        let pending = match (self.ignored.take(), &*files.file(&self.path)) {
            (Some(why), _) => Some(why),
            (None, Err(problem)) => {
                let shown = display_name(&self.path);
                Some(format!("no endpoint has told it so far, and nothing is kept ({shown}: {})", problem.wrong))
            }
            (None, Ok(_)) => None,
        };
        if let Some(why) = pending {
            return Some((None, Reflected::Pending(why)));
        }
        match protos::reflected(servlet, &self.path, self.compiled.as_ref(), files) {
            Ok(new) => {
                let schema = Arc::clone(&self.compiled.insert(new).schema);
                Some((Some(schema), Reflected::Known(self.path.clone())))
            }
            Err(problems) => {
                elsewhere.extend(problems);
                None
            }
        }
    }
}

fn service(line: Lenient<Spanned<ServicePattern>>) -> Option<ServiceDef> {
    line.0.map(|line| ServiceDef { pattern: line.value.0, at: line.at })
}

/// The routes, each with what it is bound to, as far as that was found out.
fn bound(lines: Vec<Lenient<Spanned<RouteLine>>>, bindings: Vec<Option<RouteBinding>>) -> Option<Vec<RouteDef>> {
    lines.into_iter().zip(bindings.into_iter().chain(std::iter::repeat(None))).map(route).collect()
}

fn route((line, binding): (Lenient<Spanned<RouteLine>>, Option<RouteBinding>)) -> Option<RouteDef> {
    let Spanned { value, at } = line.0?;
    let call = value.call.0?.map(|call| (call.value.service, call.value.method));
    Some(RouteDef { matches: value.r#match.0?.into_def()?, call, binding, at })
}

/// The table that the servlet names, or the one that goes by its name.
fn read_table(
    name: &str,
    written: Option<&Spanned<FilePath>>,
    files: &mut Recorder<'_>,
    reader: &mut Reader,
    elsewhere: &mut Vec<Problem>,
) -> Option<Table> {
    let path = match written {
        Some(path) => path.value.0.clone(),
        None => PathBuf::from(format!("../endpoints/{name}.yaml")),
    };
    let path = resolve(reader.directory(), &path);
    let shown = display_name(&path);
    match (files.table(&path), written) {
        (Ok(text), _) => {
            let directory = path.parent().unwrap_or(Path::new(""));
            table::parse(&shown, directory, &text).map_err(|problems| elsewhere.extend(problems)).ok()
        }
        (Err(problem), Some(written)) => {
            let wrong = format!("cannot be read: {shown}: {}", problem.wrong);
            reader.report_at(Some(written.at), "endpoints", wrong).value =
                Some(written.value.0.display().to_string().into());
            None
        }
        (Err(problem), None) => {
            elsewhere.push(problem.hint(format!("the endpoint table of {}", reader.file())));
            None
        }
    }
}
