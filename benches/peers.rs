//! CPU time of the proxy alone, a call, side by side with the other proxies that are installed here. Each is pinned to one core, the
//! backends and the load to the other; they take turns, round by round, because the machine's speed drifts. Needs `h2load`, `ab` and
//! `taskset`; HAProxy and nginx take part where they are found.
//!
//! `just peers`, or `cargo bench --bench peers -- ROUNDS CALLS`. Figures are medians; compare them within one run only.

use std::error::Error;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use telamon::demo::{self, Bakery};

type Failed = Box<dyn Error>;

/// A way of calling.
struct Work {
    name: &'static str,
    /// Connections and streams; `None` is HTTP/1.0 by `ab`, a connection a call.
    h2: Option<(u32, u32)>,
    path: &'static str,
}

const WORKS: [Work; 3] = [
    Work { name: "gRPC to gRPC, 8 connections x 16 streams", h2: Some((8, 16)), path: "/demo.v1.Bakery/Who" },
    Work { name: "gRPC to gRPC, 1 connection x 1 stream", h2: Some((1, 1)), path: "/demo.v1.Bakery/Who" },
    Work { name: "HTTP/1.0 to gRPC, a connection a call", h2: None, path: "/v1/who" },
];

struct Proxy {
    name: &'static str,
    translates: bool,
    port: u16,
    child: Child,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn main() -> Result<(), Failed> {
    let numbers: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let (rounds, calls) = match *numbers.as_slice() {
        [rounds, calls, ..] => (rounds, calls),
        [rounds] => (rounds, 20_000),
        [] => (5, 20_000),
    };
    for tool in ["h2load", "ab", "taskset"] {
        if !is_installed(tool) {
            return Err(format!("{tool} is not installed").into());
        }
    }
    let directory = tempfile::tempdir()?;
    let backends = backends()?;
    let proxies = start_all(directory.path(), &backends)?;
    println!("CPU microseconds a call, the proxy alone: median of {rounds} rounds of {calls} calls (least to most)\n");
    for work in &WORKS {
        println!("{}", work.name);
        let able: Vec<&Proxy> = proxies.iter().filter(|proxy| work.h2.is_some() || proxy.translates).collect();
        let mut figures: Vec<Vec<f64>> = able.iter().map(|_| Vec::new()).collect();
        for round in 0..=rounds {
            for (proxy, figures) in able.iter().zip(&mut figures) {
                let cost = measure(proxy, work, calls, directory.path())?;
                // The first round warms up.
                if round > 0 {
                    figures.push(cost);
                }
            }
        }
        let own = figures.first().map_or(f64::NAN, |figures| median(figures));
        for (proxy, figures) in able.iter().zip(&figures) {
            let (least, most) = figures.iter().fold((f64::MAX, 0.0_f64), |(a, b), x| (a.min(*x), b.max(*x)));
            let middle = median(figures);
            println!("  {:<8} {middle:7.1}   ({least:.1} to {most:.1})   telamon is {:.2} x", proxy.name, own / middle);
        }
    }
    Ok(())
}

fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn is_installed(tool: &str) -> bool {
    Command::new("sh")
        .args(["-c", &format!("command -v {tool}")])
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

/// Three replicas that answer at once, in this process.
fn backends() -> Result<Vec<SocketAddr>, Failed> {
    let mut addresses = Vec::new();
    for name in ["ada", "bea", "cal"] {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        addresses.push(listener.local_addr()?);
        demo::start(listener, Arc::new(Bakery::new(name, Duration::ZERO)))?;
    }
    Command::new("taskset")
        .args(["-a", "-p", "-c", "1", &std::process::id().to_string()])
        .stdout(Stdio::null())
        .status()?;
    Ok(addresses)
}

fn free_port() -> Result<u16, Failed> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn start_all(directory: &Path, backends: &[SocketAddr]) -> Result<Vec<Proxy>, Failed> {
    let mut proxies = vec![telamon(directory, backends)?];
    if is_installed("haproxy") {
        proxies.push(haproxy(directory, backends)?);
    }
    if is_installed("nginx") {
        proxies.push(nginx(directory, backends)?);
    }
    for proxy in &proxies {
        while TcpStream::connect(("127.0.0.1", proxy.port)).is_err() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(proxies)
}

fn start(name: &'static str, translates: bool, port: u16, program: &str, arguments: &[&str]) -> Result<Proxy, Failed> {
    let child = Command::new("taskset")
        .args(["-c", "0", program])
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(Proxy { name, translates, port, child })
}

fn telamon(directory: &Path, backends: &[SocketAddr]) -> Result<Proxy, Failed> {
    let port = free_port()?;
    let write = |path: &str, text: String| -> Result<(), Failed> {
        let path = directory.join("telamon").join(path);
        fs::create_dir_all(path.parent().ok_or("no parent")?)?;
        Ok(fs::write(path, text)?)
    };
    write("telamon.yaml", format!("workers: 1\nlisteners:\n  - {{ name: in, address: 127.0.0.1:{port} }}\n"))?;
    write("servlets/bakery.yaml", "schema: ../bakery.proto\nservices: [demo.v1.Bakery]\n".into())?;
    write("bakery.proto", demo::PROTO.into())?;
    let lines = backends
        .iter()
        .zip([3, 2, 1])
        .map(|(address, weight)| format!("  - {{ address: {address}, weight: {weight} }}\n"));
    write("endpoints/bakery.yaml", format!("endpoints:\n{}", lines.collect::<String>()))?;
    let config = directory.join("telamon/telamon.yaml");
    start("telamon", true, port, env!("CARGO_BIN_EXE_telamon"), &["run", "--config", &config.to_string_lossy()])
}

fn haproxy(directory: &Path, backends: &[SocketAddr]) -> Result<Proxy, Failed> {
    let port = free_port()?;
    let servers = backends
        .iter()
        .zip([30, 20, 10])
        .enumerate()
        .map(|(index, (address, weight))| format!("  server s{index} {address} proto h2 weight {weight}\n"));
    let text = format!(
        "global\n  nbthread 1\ndefaults\n  mode http\n  timeout connect 1s\n  timeout client 30s\n  timeout server 30s\n\
         frontend f\n  bind 127.0.0.1:{port} proto h2\n  default_backend b\nbackend b\n  balance roundrobin\n{}",
        servers.collect::<String>()
    );
    let file = directory.join("haproxy.cfg");
    fs::write(&file, text)?;
    start("haproxy", false, port, "haproxy", &["-db", "-f", &file.to_string_lossy()])
}

fn nginx(directory: &Path, backends: &[SocketAddr]) -> Result<Proxy, Failed> {
    let port = free_port()?;
    let servers = backends.iter().zip([3, 2, 1]).map(|(address, weight)| format!("server {address} weight={weight}; "));
    let text = format!(
        "daemon off; master_process off; worker_processes 1; error_log /dev/null; pid {}/nginx.pid;\nevents {{}}\n\
         http {{ access_log off; keepalive_requests 1000000000;\n upstream b {{ {} keepalive 64; keepalive_requests 1000000000; }}\n \
         server {{ listen 127.0.0.1:{port} http2; location / {{ grpc_pass grpc://b; }} }} }}\n",
        directory.display(),
        servers.collect::<String>()
    );
    let file = directory.join("nginx.conf");
    fs::write(&file, text)?;
    start("nginx", false, port, "nginx", &["-c", &file.to_string_lossy()])
}

/// CPU microseconds of one call. A wrong answer is an error.
fn measure(proxy: &Proxy, work: &Work, calls: usize, directory: &Path) -> Result<f64, Failed> {
    let before = cpu_nanos(proxy.child.id())?;
    let url = format!("http://127.0.0.1:{}{}", proxy.port, work.path);
    let calls_text = calls.to_string();
    let output = match work.h2 {
        Some((connections, streams)) => {
            let frame = directory.join("frame.bin");
            fs::write(&frame, [0_u8; 5])?;
            Command::new("taskset")
                .args([
                    "-c",
                    "1",
                    "h2load",
                    "-n",
                    &calls_text,
                    "-c",
                    &connections.to_string(),
                    "-m",
                    &streams.to_string(),
                ])
                .args([
                    "-d",
                    &frame.to_string_lossy(),
                    "-H",
                    "content-type: application/grpc",
                    "-H",
                    "te: trailers",
                    &url,
                ])
                .output()?
        }
        None => Command::new("taskset").args(["-c", "1", "ab", "-q", "-n", &calls_text, "-c", "32", &url]).output()?,
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let good = match work.h2 {
        Some(_) => text.contains(&format!("{calls} succeeded, 0 failed")),
        None => text.contains("Failed requests:        0") && !text.contains("Non-2xx"),
    };
    if !good {
        return Err(format!("{}: {} went wrong:\n{text}", proxy.name, work.name).into());
    }
    let used = cpu_nanos(proxy.child.id())? - before;
    Ok(used as f64 / 1e3 / calls as f64)
}

/// Nanoseconds on a processor, of all threads of a process.
fn cpu_nanos(process: u32) -> Result<u64, Failed> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        sum += text.split_whitespace().next().ok_or("no schedstat")?.parse::<u64>()?;
    }
    Ok(sum)
}
