//! One servlet from its files, or all that is wrong with them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bindings::bind;
use super::checks::check;
use super::protos::{self, Compiled};
use super::reading::{Reading, Recorder, Sources};
use super::servlet_file::{self, RouteLine, ServicePattern, ServletFile};
use super::settings::{Defaults, FilePath};
use super::{RouteBinding, RouteDef, ServiceDef, ServletDef, Upstream};
use crate::discovery::{Lenient, Problem, Reader, Spanned, display_name, resolve, table};
use crate::model::Table;

/// What a servlet's files came to.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) result: Result<Arc<ServletDef>, Vec<Problem>>,
    pub(super) sources: Sources,
    /// The last schema that could be compiled, by this attempt or an earlier one.
    pub(super) compiled: Option<Arc<Compiled>>,
}

/// What every servlet is loaded with.
pub(super) struct Surroundings<'s> {
    /// The directory of `telamon.yaml`.
    pub(super) root: &'s Path,
    pub(super) defaults: &'s Defaults,
}

/// Loads the servlet `name` from the file at `path`. `compiled` is what the attempt before it had.
pub(super) fn servlet(
    name: &str,
    path: &Path,
    around: &Surroundings<'_>,
    reading: &mut Reading,
    mut compiled: Option<Arc<Compiled>>,
) -> Attempt {
    let mut sources = Sources::default();
    let mut files = reading.for_servlet(&mut sources);
    let mut reader = Reader::new(display_name(path), path.parent().unwrap_or(Path::new("")));
    let mut elsewhere = Vec::new();
    let def = match files.text(path) {
        Ok(text) => assemble(name, &text, around, &mut files, &mut reader, &mut elsewhere, &mut compiled),
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
    Attempt { result, sources, compiled }
}

fn assemble(
    name: &str,
    text: &str,
    around: &Surroundings<'_>,
    files: &mut Recorder<'_>,
    reader: &mut Reader,
    elsewhere: &mut Vec<Problem>,
    compiled: &mut Option<Arc<Compiled>>,
) -> Option<ServletDef> {
    let (file, options) = servlet_file::parse(text, reader, around.defaults)?;
    let table =
        file.value.endpoints.0.as_ref().and_then(|path| read_table(name, path.as_ref(), files, reader, elsewhere));
    let schema = match &file.value.schema.0 {
        Some(Some(paths)) => match protos::load(&paths.0, around.root, compiled.as_ref(), files, reader) {
            Ok(new) => Some(Some(Arc::clone(&compiled.insert(new).schema))),
            Err(problems) => {
                elsewhere.extend(problems);
                None
            }
        },
        Some(None) => Some(None),
        None => None,
    };
    check(&file, schema.as_ref(), reader);
    let bindings = match (&schema, &file.value.routes.0) {
        (Some(Some(schema)), Some(routes)) => bind(routes, schema, reader),
        _ => Vec::new(),
    };
    let ServletFile { services, routes, upstream, timeout, .. } = file.value;
    let services = services.0?.map(|services| services.value).unwrap_or_default();
    Some(ServletDef {
        name: Arc::from(name),
        file: Arc::from(reader.file()),
        schema: schema?,
        upstream: upstream.0.unwrap_or(Upstream::Grpc),
        services: services.into_iter().map(service).collect::<Option<_>>()?,
        routes: routes
            .0?
            .into_iter()
            .zip(bindings.into_iter().chain(std::iter::repeat(None)))
            .map(route)
            .collect::<Option<_>>()?,
        table: table?,
        timeout: timeout.0?,
        unary_timeout: around.defaults.timeout,
        options: options?,
    })
}

fn service(line: Lenient<Spanned<ServicePattern>>) -> Option<ServiceDef> {
    line.0.map(|line| ServiceDef { pattern: line.value.0, at: line.at })
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
