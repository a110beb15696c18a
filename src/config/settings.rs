//! `telamon.yaml`: what belongs to the process and not to a servlet.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Cidr, ServletOptions};
use crate::discovery::{
    Content, Count, Decode, Node, Position, Problem, Reader, Record, Size, Spanned, quoted_list, record, resolve,
};
use crate::model::Address;
use crate::route::HostPattern;

record! {
    /// What belongs to the process: listeners, admin, limits, and the defaults that servlets inherit.
    pub struct Settings {
        /// Threads that carry traffic; one a core when left out.
        pub workers: Option<Count<1, 1024>>,
        /// Where callers come in. HTTP/1.0, HTTP/1.1 and HTTP/2 are told apart by their first bytes.
        pub listeners: Listeners,
        /// The HTTP API for operators; no listener for it when left out.
        pub admin: Option<Admin>,
        /// The directory of the servlet files, relative to this file. A file more in it is a servlet more.
        pub servlets: FilePath = FilePath::new("servlets"),
        /// The directory where what was learnt while running is kept for the next start, relative to this file: the schemas that endpoints told. Made when it is needed; without the right to write there, they are fetched anew at each start.
        pub state: FilePath = FilePath::new(".telamon"),
        /// `stdout`, or the path of a file relative to this one; no access log when left out.
        pub access_log: Option<Spanned<AccessLog>>,
        /// How much callers may ask of the process.
        pub limits: Limits,
        /// What servlets inherit when their files do not say.
        pub defaults: Defaults,
    }
}

record! {
    /// Where callers come in.
    pub struct Listener {
        /// What it is called in logs, metrics and messages.
        pub name: Spanned<String>,
        /// `IPv4:port`, `[IPv6]:port` or `unix:path`.
        pub address: Spanned<Address>,
        /// What a request without a Host is taken to mean; without this, its routes are matched on the path alone.
        pub default_host: Option<HostName>,
        /// Peers whose `X-Forwarded-*` fields are kept and extended; those of all others are replaced.
        pub trusted_peers: Vec<Cidr> = Vec::new(),
    }
}

record! {
    /// The HTTP API for operators.
    pub struct Admin {
        /// Where it listens. Whoever reaches it sees everything, so keep it on loopback or a socket.
        pub address: Spanned<Address>,
    }
}

record! {
    /// How much callers may ask of the process. Every limit is there for a caller that is broken or hostile.
    pub struct Limits {
        /// The bytes of a request's head. Large tokens fit, and a thousand slow heads are 64 MiB.
        pub header_size: Size<1024, { 16 << 20 }> = Size::kib(64),
        /// The fields of a request's head, each cookie crumb counted: many tiny fields cost far more than their bytes.
        pub header_fields: Count<8, 10_000> = Count::new(100),
        /// From a request's first byte to the end of its head, in whole, so that a byte a second does not hold a connection.
        pub header_timeout: Duration = Duration::from_secs(10),
        /// How long a body may stand still, either way, before its stream is reset.
        pub body_timeout: Duration = Duration::from_secs(60),
        /// How long a connection may be without a request. Longer than the 60 s that most clients and balancers keep theirs.
        pub idle_timeout: Duration = Duration::from_secs(75),
        /// Connections of the whole process; more are refused. Each costs a descriptor and some KiB.
        pub connections: Count<1, 1_000_000> = Count::new(10_000),
        /// Calls at a time on one HTTP/2 connection.
        pub streams: Count<1, 100_000> = Count::new(256),
        /// An answer to an HTTP/1.0 caller up to this size gets a length and may keep the connection; a longer one is ended by closing.
        pub reply_buffer: Size<0, { 16 << 20 }> = Size::kib(64),
        /// How long calls in flight may go on after SIGTERM.
        pub drain: Duration = Duration::from_secs(30),
    }
}

/// What servlets inherit when their files do not say.
#[derive(Clone, Debug, PartialEq)]
pub struct Defaults {
    /// The whole of a unary gRPC call. Streams and untranslated traffic have no timeout unless their servlet gives one.
    pub timeout: Duration,
    pub servlet: ServletOptions,
}

record! {
    pub(super) struct DefaultTimeout {
        /// The whole of a unary gRPC call, from the request's head on. Streams and untranslated traffic have no timeout unless their servlet gives one.
        pub timeout: Duration = Duration::from_secs(15),
    }
}

impl Default for Defaults {
    fn default() -> Self {
        Defaults { timeout: DefaultTimeout::default().timeout, servlet: ServletOptions::default() }
    }
}

impl Decode for Defaults {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        let keys = quoted_list(&[DefaultTimeout::KEYS, ServletOptions::KEYS].concat());
        let mut fields = reader.fields(node, format!("a mapping with {keys}"))?;
        let timeout = DefaultTimeout::take(&mut fields, reader, None);
        let servlet = ServletOptions::take(&mut fields, reader, None);
        fields.finish(reader)?;
        Some(Defaults { timeout: timeout?.timeout, servlet: servlet? })
    }

    fn absent() -> Option<Self> {
        Some(Defaults::default())
    }

    fn schema() -> Value {
        let properties: Map<String, Value> =
            DefaultTimeout::properties().into_iter().chain(ServletOptions::properties()).collect();
        json!({ "type": "object", "additionalProperties": false, "properties": properties })
    }

    fn written(&self) -> Value {
        let timeout = DefaultTimeout { timeout: self.timeout };
        timeout.pairs().into_iter().chain(self.servlet.pairs()).collect::<Map<_, _>>().into()
    }
}

impl Settings {
    /// Reads `text`, the content of `file`. The servlets' directory, and where it is named, are told even when something else is
    /// wrong, so that what lies there can be checked as well.
    pub(super) fn read(
        file: &str,
        directory: &Path,
        text: &str,
        problems: &mut Vec<Problem>,
    ) -> (Option<Settings>, PathBuf, Option<Position>) {
        let mut reader = Reader::new(file, directory);
        let root = reader.root(text);
        let settings = root.as_ref().and_then(|root| Settings::decode(root, &mut reader));
        if let Some(settings) = &settings {
            settings.check_addresses(&mut reader);
        }
        let settings = settings.filter(|_| reader.is_clean());
        problems.extend(reader.into_problems());
        let named = match root.as_deref().map(|root| &*root.content) {
            Some(Content::Map(entries)) => entries.iter().find(|(key, _)| key.text == "servlets"),
            _ => None,
        };
        let named = named.and_then(|(_, node)| <Spanned<FilePath>>::decode(node, &mut Reader::new(file, directory)));
        let (path, at) = named.map_or((FilePath::new("servlets"), None), |path| (path.value, Some(path.at)));
        let servlets = resolve(directory, &path.0);
        let settings = settings.map(|settings| {
            let state = FilePath(resolve(directory, &settings.state.0));
            Settings { servlets: FilePath(servlets.clone()), state, ..settings }
        });
        (settings, servlets, at)
    }

    /// Reports addresses that cannot be listened on beside each other. (Those that are the same are told with the list.)
    fn check_addresses(&self, reader: &mut Reader) {
        let listeners = &self.listeners.0;
        for (index, listener) in listeners.iter().enumerate() {
            let (address, before) = (&listener.address, listeners.iter().take(index));
            mapped(address, &format!("listeners[{index}].address"), reader);
            let mut others = before.filter(|other| other.address != *address);
            if let Some(other) = others.find(|other| overlap(&other.address.value, &address.value)) {
                overlapping(address, &format!("listeners[{index}].address"), other, reader);
            }
        }
        if let Some(admin) = &self.admin {
            mapped(&admin.address, "admin.address", reader);
        }
        if let Some(admin) = &self.admin
            && let Some(other) = listeners.iter().find(|other| overlap(&other.address.value, &admin.address.value))
        {
            overlapping(&admin.address, "admin.address", other, reader);
        }
    }

    /// The keys in which `new` differs and which are read once, at start.
    pub(super) fn differ_until_restart(&self, new: &Settings) -> Vec<&'static str> {
        let keys = [
            ("workers", self.workers != new.workers),
            ("listeners", self.listeners != new.listeners),
            ("admin", self.admin != new.admin),
            ("servlets", self.servlets != new.servlets),
            ("state", self.state != new.state),
            ("access_log", self.access_log != new.access_log),
            ("limits", self.limits != new.limits),
        ];
        keys.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
    }
}

/// Whether the kernel gives only one of the two: the same, or one of them all addresses of the port. The families are apart.
fn overlap(one: &Address, two: &Address) -> bool {
    match (one, two) {
        (Address::Tcp(one), Address::Tcp(two)) => {
            let any = one.ip().is_unspecified() || two.ip().is_unspecified();
            // Port 0 means any free one.
            one.port() != 0
                && one.port() == two.port()
                && (one.ip() == two.ip() || (any && one.is_ipv4() == two.is_ipv4()))
        }
        // However it is spelled: relative to where the process runs, or not.
        (Address::Unix(one), Address::Unix(two)) => absolute(one) == absolute(two),
        (Address::Tcp(_), Address::Unix(_)) | (Address::Unix(_), Address::Tcp(_)) => false,
    }
}

fn absolute(path: &Path) -> PathBuf {
    resolve(Path::new(""), &std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
}

/// Reports an address that no socket can be had for: sockets of IPv6 are for IPv6 alone.
fn mapped(address: &Spanned<Address>, path: &str, reader: &mut Reader) {
    if let Address::Tcp(SocketAddr::V6(tcp)) = &address.value
        && let Some(ip) = tcp.ip().to_ipv4_mapped()
    {
        let problem =
            reader.report_at(Some(address.at), path, "cannot be listened on: it is an IPv4 address in IPv6's form");
        problem.value = Some(address.value.to_string().into());
        problem.allowed = Some(format!("`{ip}:{}`", tcp.port()).into());
    }
}

fn overlapping(address: &Spanned<Address>, path: &str, other: &Listener, reader: &mut Reader) {
    let (name, line) = (&other.name.value, other.address.at.line);
    let wrong = format!("is taken by listener `{name}` on line {line}, {}", other.address.value);
    let problem = reader.report_at(Some(address.at), path, wrong);
    problem.value = Some(address.value.to_string().into());
    problem.allowed = Some("an address of its own".into());
}

/// The listeners: at least one, no name and no address twice.
#[derive(Clone, Debug, PartialEq)]
pub struct Listeners(pub Vec<Listener>);

impl Decode for Listeners {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        let mut names: HashMap<String, Position> = HashMap::new();
        let mut addresses: HashMap<Address, Position> = HashMap::new();
        let listeners = reader.list(node, "a list of listeners", |item, reader| {
            let listener = Listener::decode(item, reader)?;
            unique(&mut names, "name", &listener.name, &listener.name.value, reader);
            // Port 0 means any free one, so two of it do not meet.
            if !matches!(&listener.address.value, Address::Tcp(address) if address.port() == 0) {
                let shown = listener.address.value.to_string();
                unique(&mut addresses, "address", &listener.address, &shown, reader);
            }
            Some(listener)
        })?;
        if listeners.is_empty() {
            return reader.reject_at(node.at, "an empty list", "at least one listener");
        }
        Some(Listeners(listeners))
    }

    fn schema() -> Value {
        json!({ "type": "array", "minItems": 1, "items": Listener::schema() })
    }
}

fn unique<T: Clone + Eq + std::hash::Hash>(
    seen: &mut HashMap<T, Position>,
    key: &'static str,
    value: &Spanned<T>,
    shown: &str,
    reader: &mut Reader,
) {
    match seen.get(&value.value) {
        Some(first) => reader.key(key, |reader| {
            let wrong = format!("is there twice: first on line {}", first.line);
            reader.report(value.at, wrong).value = Some(shown.into());
        }),
        None => {
            seen.insert(value.value.clone(), value.at);
        }
    }
}

/// A path as it was written, until it is resolved against the file that names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FilePath(pub PathBuf);

impl FilePath {
    fn new(path: &str) -> Self {
        FilePath(PathBuf::from(path))
    }
}

impl Decode for FilePath {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        let text = reader.text(node, "a path relative to this file")?;
        if text.is_empty() || text.contains('\0') {
            return reader.reject(node, "a path relative to this file");
        }
        Some(FilePath::new(text))
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1 })
    }

    fn written(&self) -> Value {
        self.0.display().to_string().into()
    }
}

/// Where the access log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLog {
    Stdout,
    File(PathBuf),
}

impl Decode for AccessLog {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        let FilePath(path) = FilePath::decode(node, reader)?;
        if path == Path::new("stdout") {
            return Some(AccessLog::Stdout);
        }
        Some(AccessLog::File(resolve(reader.directory(), &path)))
    }

    fn schema() -> Value {
        FilePath::schema()
    }
}

/// A host as it stands in a Host field: a name or an address, with a port if need be. In lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName(pub String);

impl Decode for HostName {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        const ALLOWED: &str = "a host, like `legacy.internal` or `legacy.internal:8080`";
        let text = reader.text(node, ALLOWED)?;
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (text, None),
        };
        let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
        // An IPv6 address stands in brackets (RFC 3986 §3.2.2), else its last part would pass for a port.
        let is_bare_ipv6 = host.contains(':') && !host.starts_with('[');
        match host.parse() {
            Ok(HostPattern::Exact(_)) if !is_bare_ipv6 && port.is_none_or(is_port) => {
                Some(HostName(text.to_ascii_lowercase()))
            }
            _ => reader.reject(node, ALLOWED),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_overlap_where_the_kernel_gives_only_one() {
        for (one, two, both) in [
            ("127.0.0.1:80", "127.0.0.1:80", false),
            ("127.0.0.1:80", "127.0.0.1:81", true),
            ("127.0.0.1:80", "127.0.0.2:80", true),
            ("0.0.0.0:80", "127.0.0.1:80", false),
            ("[::]:80", "[::1]:80", false),
            ("[::]:80", "0.0.0.0:80", true),
            ("127.0.0.1:0", "127.0.0.1:0", true),
            ("unix:a", "unix:a", false),
            ("unix:a", "unix:b", true),
            ("unix:a", "unix:./a", false),
            ("unix:a", &format!("unix:{}/a", std::env::current_dir().unwrap().display()), false),
            ("unix:a", "127.0.0.1:80", true),
        ] {
            let (one, two): (Address, Address) = (one.parse().unwrap(), two.parse().unwrap());
            assert_eq!((overlap(&one, &two), overlap(&two, &one)), (!both, !both), "{one} and {two}");
        }
    }

    #[test]
    fn a_default_host_is_a_host_and_perhaps_a_port() {
        let host = |text: &str| Reader::new("f", "").document::<HostName>(&format!("{text:?}")).map(|host| host.0);
        for (text, read) in [
            ("legacy.internal", "legacy.internal"),
            ("Legacy.Internal:8080", "legacy.internal:8080"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[2001:DB8::1]", "[2001:db8::1]"),
            ("[2001:db8::1]:80", "[2001:db8::1]:80"),
        ] {
            assert_eq!(host(text).as_deref(), Some(read), "{text}");
        }
        for text in ["2001:db8::1:80", "2001:db8::1", "::1", "a:b:80", "a:", "a:x", "a:65536", "*.a", ""] {
            assert_eq!(host(text), None, "{text}");
        }
    }
}
