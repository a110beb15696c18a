//! The command line (design §3). Exit codes: 0, 1 with every error told, 2 for a usage error.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bytes::BytesMut;
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{Method, Request, Uri, Version};

use crate::app::{self, Caught, Process};
use crate::config::{self, Loaded, Reflected, Report, ServletDef, Settings};
use crate::model::Fault;
use crate::telemetry::log::{self, Level};
use crate::translate::is_grpc;
use crate::wire::{HeadLimits, RequestParser};

const EXAMPLES: &str = "\
Start here:
  telamon demo                     everything at once, on loopback; prints what to try

With files of your own:
  telamon check                    reads telamon.yaml and all it leads to; tells every mistake
  telamon run                      serves; files are reloaded whenever they change
  telamon explain GET http://legacy.internal/v1/orders/7
                                   where that request would go, and why

The files: telamon.yaml names the listeners, servlets/NAME.yaml is one servlet, endpoints/NAME.yaml
lists its endpoints and their weights. `telamon schema` describes every key of them.";

/// A gRPC-aware load balancer and sidecar: any HTTP in, gRPC out, spread by weight, tables hot.
#[derive(Debug, Parser)]
#[command(name = "telamon", version, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve, as the files say
    #[command(after_help = "\
Signals:
  SIGHUP            reads the files again now; they are watched all the same
  SIGTERM, SIGINT   drains: no new calls, those in flight have `limits.drain`, 30 s unless set;
                    a second one ends at once
  SIGUSR1           opens the access log anew, after it was moved

Examples:
  telamon run
  telamon run --config /etc/telamon/telamon.yaml --log-level debug")]
    Run {
        #[command(flatten)]
        files: Files,
        /// How much the process log tells, on standard error
        #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = ["error", "warn", "info", "debug"])]
        log_level: String,
    },
    /// Read the files, tell every mistake in them, and exit
    #[command(after_help = "\
Exits with 0 when `telamon run` would take these files, and with 1 when it would not. An access log that
cannot be written on this machine is a warning, and so is a socket in a directory that is not there; an
address that is in use is found at the start.

A process that runs refuses a new schema that breaks its callers, unless the servlet's file says
`schema_changes: allow`. Nothing runs here, so name the files that do, as a checkout of what is deployed:
each route and field that would change its meaning is told, and what would be refused ends with 1.

Examples:
  telamon check
  telamon check --config staging/telamon.yaml
  telamon check --against /etc/telamon        what these files would change for callers of those")]
    Check {
        #[command(flatten)]
        files: Files,
        /// A telamon.yaml, or the directory of one: tell what changes for its callers, as if these files took its place
        #[arg(long, value_name = "FILE|DIR")]
        against: Option<PathBuf>,
    },
    /// Show it at work: three replicas of a gRPC servlet, a proxy and admin, all on loopback
    #[command(after_help = "\
Writes its files where it says, and prints commands to paste into another terminal.

Examples:
  telamon demo
  telamon demo --load 200          shares move without any client of yours
  telamon demo --dir my-demo       keeps the files to start from; the replicas end with the demo")]
    Demo(DemoArgs),
    /// Tell which servlet, route, method, policy and endpoints a request would meet, and why
    #[command(after_help = "\
Nothing is sent anywhere: the files are read, and the request is planned as traffic is. Exits with 0 when an
endpoint would get it, and with 1 when Telamon would answer it itself with an error: 404, 405, 400, ...

Examples:
  telamon explain GET http://legacy.internal/v1/orders/7
  telamon explain GET /v1/orders/7                        without a Host, as an HTTP/1.0 client calls
  telamon explain POST /shop.v1.Shop/Buy -H 'content-type: application/grpc'")]
    Explain {
        /// GET, POST, ...
        method: Method,
        /// http://HOST/PATH, or a path alone
        #[arg(value_parser = url)]
        url: Uri,
        #[command(flatten)]
        files: Files,
        /// A field of the request; may be given several times
        #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
        headers: Vec<(HeaderName, HeaderValue)>,
        /// The listener that it comes in by: its `default_host` stands in for a missing Host [default: the first]
        #[arg(long, value_name = "NAME")]
        listener: Option<String>,
    },
    /// Print the OpenAPI 3.1 document of a servlet's REST surface
    #[command(after_help = "\
Has every way in over HTTP: the rules of the schema, the routes of the servlet's file, and
POST /pkg.Service/Method for methods without a rule. Comments of the .proto files are its descriptions.

Examples:
  telamon openapi echo
  telamon openapi echo --config staging/telamon.yaml")]
    Openapi {
        /// The name of its file, without the extension
        servlet: String,
        #[command(flatten)]
        files: Files,
    },
    /// Print the JSON Schema of the files, for editors to complete and check with
    #[command(after_help = "\
Keep what it prints in a file, and name that in the first line of yours, so that editors complete it:
  # yaml-language-server: $schema=telamon.schema.json#/$defs/servlet

Examples:
  telamon schema")]
    Schema,
}

#[derive(Debug, Args)]
struct Files {
    /// The file that everything starts from
    #[arg(long, value_name = "FILE", default_value = "telamon.yaml")]
    config: PathBuf,
}

/// What `telamon demo` was asked for.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Write the files into this new directory, and leave them there [default: a temporary one, removed at the end]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// The proxy's port; the next free one when it is taken
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub port: u16,
    /// The admin API's port; the next free one when it is taken
    #[arg(long, value_name = "PORT", default_value_t = 9900)]
    pub admin_port: u16,
    /// Make so many HTTP/1.0 calls a second in the background
    #[arg(long, value_name = "CALLS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=10_000))]
    pub load: u32,
    /// What a call costs a replica, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=60_000))]
    pub work: u64,
}

/// Parses the command line and does what it says. `demo` runs the demo: the two know nothing of each other.
pub fn main(demo: impl FnOnce(DemoArgs) -> Result<(), String>) -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => match run(cli.command, demo) {
            Ok(code) => code,
            Err(told) => {
                // Nobody is left to tell when standard error is closed.
                let _ = writeln!(io::stderr(), "{told}");
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            let _ = error.print();
            match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
                _ => ExitCode::from(2),
            }
        }
    }
}

fn run(command: Command, demo: impl FnOnce(DemoArgs) -> Result<(), String>) -> Result<ExitCode, String> {
    match command {
        Command::Run { files, log_level } => {
            log::init(log_level.parse::<Level>().map_err(|error| error.to_string())?)?;
            let caught = Caught::new().map_err(|error| error.to_string())?;
            let process = Process::start(&files.config).map_err(|error| error.to_string())?;
            process.run(caught);
        }
        Command::Check { files, against } => {
            let loaded = config::load(&files.config).map_err(|report| report.to_string())?;
            if let Some(against) = against {
                check_against(&loaded, &against)?;
            }
            for warning in config::warnings(&loaded) {
                // Nobody is left to tell when standard error is closed.
                let _ = writeln!(io::stderr(), "warning: {warning}");
            }
            let unchecked: String = loaded.servlets.iter().filter_map(|(name, def)| unchecked(name, def)).collect();
            print(&format!("{}: {}\n{unchecked}", files.config.display(), good(&loaded)))?;
        }
        // Without a process log: the demo tells reloads itself, and the log would write across the shares that it draws.
        Command::Demo(asked) => demo(asked)?,
        Command::Explain { method, url, files, headers, listener } => {
            let loaded = config::load(&files.config).map_err(|report| report.to_string())?;
            if let Some(fault) = refused(&method, &url, &headers, &loaded.settings) {
                let answer = fault.answer();
                let (http, flag, grpc) = (answer.http, answer.flag, answer.grpc.name());
                print(&format!(
                    "answered by Telamon, at the listener: {http} ({flag}, gRPC {grpc})\n  {}\n",
                    fault.message
                ))?;
                return Ok(ExitCode::FAILURE);
            }
            let mut request = request(method, &url, headers)?;
            let taken = take_default_host(&mut request, &loaded.settings, listener.as_deref())?;
            let explained = app::explain(&loaded, &request).map_err(|error| error.to_string())?;
            print(&(taken + &explained.text))?;
            if !explained.served {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Openapi { servlet, files } => {
            let loaded = config::load(&files.config).map_err(|report| report.to_string())?;
            print_json(&config::openapi(&loaded, &servlet)?)?;
        }
        Command::Schema => print_json(&config::schema_json())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// `good: 2 servlets (echo, shop), 5 endpoints, 12 routes`.
fn good(loaded: &Loaded) -> String {
    let names: Vec<&str> = loaded.servlets.keys().map(String::as_str).collect();
    let list = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
    let endpoints = loaded.servlets.values().map(|servlet| servlet.table.endpoints().count()).sum();
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let servlets = count(names.len(), "servlet");
    format!("good: {servlets}{list}, {}, {}", count(endpoints, "endpoint"), count(loaded.routes(), "route"))
}

/// What `explain` takes for a URL. A bare word is none: it would be a host without a path. (`*` is a target of HTTP's; no route is for it.)
fn url(text: &str) -> Result<Uri, String> {
    const EXPECTED: &str = "expected http://HOST/PATH, or a path that starts with a slash, like /v1/orders/7";
    let has_scheme = ["http://", "https://"]
        .iter()
        .any(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
    if !text.starts_with('/') && !has_scheme && text != "*" {
        return Err(EXPECTED.to_owned());
    }
    text.parse().map_err(|error| format!("{error}: {EXPECTED}"))
}

fn print_json(value: &serde_json::Value) -> Result<(), String> {
    let text = serde_json::to_string_pretty(value).map_err(|error| error.to_string())?;
    print(&(text + "\n"))
}

/// Prints what `new` changes for the callers of the files at `against`.
///
/// # Errors
/// What a process that runs those would refuse these for.
fn check_against(new: &Loaded, against: &Path) -> Result<(), String> {
    let file = if against.is_dir() { against.join("telamon.yaml") } else { against.to_owned() };
    let old = config::load(&file).map_err(|report| format!("--against {}:\n{report}", against.display()))?;
    let mut told = String::new();
    let mut problems = Vec::new();
    for (name, mut found) in config::compare(&old, new) {
        problems.append(&mut found.problems);
        told.extend(found.unknown.map(|why| format!("{name}: the schemas are not compared: {why}\n")));
        told.extend(found.changes.iter().map(|change| format!("{name}: {change}\n")));
    }
    for name in old.servlets.keys().filter(|name| !new.servlets.contains_key(*name)) {
        told.push_str(&format!("{name}: the servlet is gone\n"));
    }
    print(&told)?;
    if problems.is_empty() { Ok(()) } else { Err(Report { problems }.to_string()) }
}

/// What cannot be known of a servlet before an endpoint has told its schema.
fn unchecked(name: &str, servlet: &ServletDef) -> Option<String> {
    match servlet.reflected.as_ref()? {
        Reflected::Known(path) => {
            Some(format!("{name}: checked against the schema that was fetched last, {}\n", path.display()))
        }
        Reflected::Pending(why) => {
            Some(format!("{name}: services and routes are not checked, for its schema is not known: {why}\n"))
        }
    }
}

/// A reader that closes early (`| head`) has what it wanted.
fn print(text: &str) -> Result<(), String> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.to_string()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Why a listener would not take this head, if it would not: asked of the code that reads heads for it.
fn refused(method: &Method, url: &Uri, headers: &[(HeaderName, HeaderValue)], settings: &Settings) -> Option<Fault> {
    let target = url.path_and_query().map_or("/", |target| target.as_str());
    // Only HTTP/1.0 callers need not say a host.
    let named = url.authority().is_some() || headers.iter().any(|(name, _)| name == HOST);
    let version = if named { "1.1" } else { "1.0" };
    let mut head = BytesMut::from(format!("{method} {target} HTTP/{version}\r\n").as_bytes());
    let host = url.authority().map(|authority| (HOST.as_str(), authority.as_str().as_bytes()));
    let fields = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    for (name, value) in host.into_iter().chain(fields) {
        head.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    // What the body will be is not asked, so that nothing is missing of it.
    if !headers.iter().any(|(name, _)| name == CONTENT_LENGTH || name == TRANSFER_ENCODING) {
        head.extend_from_slice(b"content-length: 0\r\n");
    }
    head.extend_from_slice(b"\r\n");
    let limits = HeadLimits {
        bytes: usize::try_from(settings.limits.header_size.bytes()).unwrap_or(usize::MAX),
        fields: usize::try_from(settings.limits.header_fields.get()).unwrap_or(usize::MAX),
    };
    RequestParser::new(limits).parse(&mut head, None).err()
}

/// The request as it is after the listener: path and query as its target, the authority in `Host`.
fn request(method: Method, url: &Uri, headers: Vec<(HeaderName, HeaderValue)>) -> Result<Request<()>, String> {
    let target = url.path_and_query().map_or("/", |target| target.as_str());
    if !target.starts_with('/') {
        return Err(format!("{url} is no URL: http://HOST/PATH, or a path that starts with a slash"));
    }
    let mut request = Request::builder().method(method).uri(target).body(()).map_err(|error| error.to_string())?;
    if let Some(authority) = url.authority() {
        let host = HeaderValue::from_str(authority.as_str()).map_err(|error| error.to_string())?;
        request.headers_mut().insert(HOST, host);
    }
    for (name, value) in headers {
        request.headers_mut().append(name, value);
    }
    if request.headers().get(CONTENT_TYPE).is_some_and(|value| is_grpc(value.as_bytes())) {
        // gRPC is spoken over HTTP/2 alone.
        *request.version_mut() = Version::HTTP_2;
    }
    Ok(request)
}

/// Does with a request without a Host what the listener does with it; tells so.
fn take_default_host(request: &mut Request<()>, settings: &Settings, listener: Option<&str>) -> Result<String, String> {
    let listeners = &settings.listeners.0;
    let listener = match listener {
        None => listeners.first(),
        Some(name) => {
            let found = listeners.iter().find(|listener| listener.name.value == name);
            let names = || listeners.iter().map(|listener| listener.name.value.as_str()).collect::<Vec<_>>().join(", ");
            Some(found.ok_or_else(|| format!("there is no listener `{name}`, only {}", names()))?)
        }
    };
    let Some((listener, host)) = listener.and_then(|listener| Some((listener, listener.default_host.as_ref()?))) else {
        return Ok(String::new());
    };
    if request.headers().contains_key(HOST) {
        return Ok(String::new());
    }
    let value = HeaderValue::from_str(&host.0).map_err(|error| error.to_string())?;
    request.headers_mut().insert(HOST, value);
    Ok(format!("without a Host, listener `{}` takes it to mean {}\n", listener.name.value, host.0))
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("a field is written `name: value`")?;
    let name = name.trim().parse().map_err(|_| format!("`{name}` is no field name"))?;
    let value = HeaderValue::from_str(value.trim()).map_err(|_| format!("`{value}` is no field value"))?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_commands_are_put_together_rightly() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_teaches() {
        let mut command = Cli::command();
        let help = command.render_long_help().to_string();
        for name in ["run", "check", "demo", "explain", "openapi", "schema"] {
            assert!(help.contains(name), "{name}: {help}");
            let about = command.find_subcommand_mut(name).unwrap().get_about();
            assert!(about.is_some_and(|about| !about.to_string().is_empty()), "{name}");
        }
        assert!(help.contains("Start here"));
    }

    #[test]
    fn examples_in_the_help_are_commands_that_parse() {
        let mut command = Cli::command();
        command.build();
        let helps = command.get_subcommands().filter_map(clap::Command::get_after_help).map(ToString::to_string);
        let all: String = helps.chain([EXAMPLES.to_owned()]).collect::<Vec<_>>().join("\n");
        let mut examples = 0;
        for line in all.lines().filter_map(|line| line.strip_prefix("  telamon ")) {
            // What follows two spaces is said about it.
            let line = line.split("  ").next().unwrap();
            let words: Vec<&str> = match line.split_once('\'') {
                Some((before, quoted)) => {
                    before.split(' ').filter(|w| !w.is_empty()).chain([quoted.trim_end_matches('\'')]).collect()
                }
                None => line.split(' ').collect(),
            };
            if let Err(error) = Cli::try_parse_from(["telamon"].iter().chain(&words)) {
                panic!("telamon {line}: {error}");
            }
            examples += 1;
        }
        assert!(examples >= 10, "{examples}");
    }

    #[test]
    fn usage_errors_are_told_apart_from_help() {
        let kind = |words: &[&str]| Cli::try_parse_from(words).map_err(|error| error.kind()).err();
        assert_eq!(kind(&["telamon", "--help"]), Some(ErrorKind::DisplayHelp));
        assert_eq!(kind(&["telamon", "run", "--log-level", "loud"]), Some(ErrorKind::InvalidValue));
        assert_eq!(kind(&["telamon", "serve"]), Some(ErrorKind::InvalidSubcommand));
        assert_eq!(kind(&["telamon", "explain", "GET"]), Some(ErrorKind::MissingRequiredArgument));
        for url in ["nope", "a.example:80/x", "", "ftp://a/x", "http://", "/with space"] {
            assert_eq!(kind(&["telamon", "explain", "GET", url]), Some(ErrorKind::ValueValidation), "{url}");
        }
        for url in ["/", "/x?y=1", "http://a", "HTTPS://a.example:81/x"] {
            assert_eq!(kind(&["telamon", "explain", "GET", url]), None, "{url}");
        }
        assert_eq!(kind(&["telamon", "explain", "GET", "/", "-H", "nonsense"]), Some(ErrorKind::ValueValidation));
        assert!(kind(&["telamon"]).is_some());
    }

    #[test]
    fn what_a_listener_refuses_is_not_planned() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("telamon.yaml"), "listeners: [{ name: a, address: 127.0.0.1:0 }]\n")
            .unwrap();
        std::fs::create_dir(directory.path().join("servlets")).unwrap();
        let settings = config::load(&directory.path().join("telamon.yaml")).unwrap().settings;
        let status = |method: &str, url: &str, fields: &[&str]| {
            let fields: Vec<_> = fields.iter().map(|field| header(field).unwrap()).collect();
            let fault = refused(&method.parse().unwrap(), &url.parse().unwrap(), &fields, &settings);
            fault.map(|fault| fault.answer().http.as_u16())
        };
        for (method, url, fields, expected) in [
            ("GET", "/x", &[][..], None),
            ("GET", "http://a.example:81/x?y=1", &["accept: */*"], None),
            ("POST", "/p.S/M", &["content-type: application/grpc", "te: trailers"], None),
            ("CONNECT", "http://a/", &[], Some(501)),
            ("GET", "http://user@a/x", &[], Some(400)),
            ("GET", "http://a,b/x", &[], Some(400)),
            ("GET", "/a%00b", &[], Some(400)),
            ("GET", "http://a/x", &["host: b"], Some(400)),
            ("GET", "/x", &["host: a", "host: b"], Some(400)),
        ] {
            assert_eq!(status(method, url, fields), expected, "{method} {url} {fields:?}");
        }
    }

    #[test]
    fn a_url_becomes_the_head_that_a_listener_would_hand_on() {
        let plain = |url: &str| request(Method::GET, &url.parse().unwrap(), Vec::new());
        let host = |request: &Request<()>| request.headers().get(HOST).map(|host| host.to_str().unwrap().to_owned());
        let full = plain("http://a.example:81/x?y=1").unwrap();
        assert_eq!((full.uri().to_string().as_str(), host(&full).as_deref()), ("/x?y=1", Some("a.example:81")));
        let bare = plain("/x").unwrap();
        assert_eq!((bare.uri().to_string().as_str(), host(&bare)), ("/x", None));
        let root = plain("http://a").unwrap();
        assert_eq!(root.uri().to_string(), "/");
        assert!(plain("*").is_err());
    }
}
