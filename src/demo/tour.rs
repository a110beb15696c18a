//! What a newcomer is told once everything works: commands to paste, one a line, each with what it shows.

use std::fmt::Write;
use std::path::Path;

use super::Places;
use super::files::Files;

/// Prints the tour.
pub(super) fn print(places: &Places, files: &Files, load: u32) {
    let program = std::env::current_exe().unwrap_or_else(|_| "telamon".into());
    println!("{}", text(places, files.dir(), &files.table(), &program, load));
}

fn text(places: &Places, dir: &Path, table: &Path, program: &Path, load: u32) -> String {
    let Places { proxy, admin } = places;
    let (program, settings, table) = (quoted(program), quoted(&dir.join("telamon.yaml")), quoted(table));
    let steps = [
        ("An HTTP/1.0 client and a gRPC service", format!("curl --http1.0 http://{proxy}/v1/who")),
        ("A field of the request from the path", format!("curl --http1.0 http://{proxy}/v1/loaves/rye")),
        ("... and from the query", format!("curl 'http://{proxy}/v1/loaves?grain=RYE&limit=1'")),
        (
            "A JSON body",
            format!(
                "curl -H 'content-type: application/json' -d '{{\"loaf\":\"loaves/rye\",\"quantity\":2}}' http://{proxy}/v1/orders"
            ),
        ),
        ("A server stream, as a JSON array that grows", format!("curl -N http://{proxy}/v1/orders/rye-2-ada1:watch")),
        ("The same service over HTTP/2", format!("curl --http2-prior-knowledge http://{proxy}/v1/who")),
        (
            "A gRPC error in an old client's words",
            format!("curl -i --http1.0 'http://{proxy}/v1/fail/5?message=sold%20out'"),
        ),
        ("What no route matches", format!("curl -i http://{proxy}/v1/nothing")),
        (
            "Sixty calls, counted by who answered: 30, 20 and 10, give or take what your other calls took",
            format!(
                "for i in $(seq 60); do curl -s --http1.0 http://{proxy}/v1/who; echo; done | grep -o '\"name\":\"[a-z]*\"' | sort | uniq -c"
            ),
        ),
        (
            "Which way a request would go, and why",
            format!("{program} explain --config {settings} GET http://{proxy}/v1/loaves/rye"),
        ),
        ("Weights, shares, latencies, state", format!("curl http://{admin}/api/v1/servlets/bakery/endpoints")),
        ("Who still speaks HTTP/1.0", format!("curl http://{admin}/api/v1/legacy")),
        ("Drain ada: edit this file, save, and watch the shares below", format!("${{EDITOR:-vi}} {table}")),
        ("... or so", format!("sed -i 's/weight: 3/weight: 0/' {table}")),
    ];
    let mut text =
        format!("Telamon is up: the proxy on http://{proxy}, admin on http://{admin}/, files in {}\n", dir.display());
    // Writing to a String cannot fail.
    let _ = writeln!(text, "Three replicas of one gRPC servlet, weights 3:2:1. Paste a line into another terminal:\n");
    for (what, command) in steps {
        let _ = writeln!(text, "  {what}:\n    {command}");
    }
    let _ = match load {
        0 => writeln!(text, "\nShares appear below while calls come in. Ctrl-C ends it."),
        load => writeln!(text, "\n{load} calls a second run in the background. Ctrl-C ends it."),
    };
    text
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |char: char| char.is_ascii_alphanumeric() || "/._-+".contains(char);
    if !path.is_empty() && path.chars().all(plain) { path } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_one_line_that_can_be_pasted() {
        let places = Places { proxy: ([127, 0, 0, 1], 8080).into(), admin: ([127, 0, 0, 1], 9900).into() };
        let dir = Path::new("/tmp/a b");
        let text = text(&places, dir, &dir.join("endpoints/bakery.yaml"), Path::new("/usr/bin/telamon"), 0);
        let commands: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("    ")).collect();
        assert!(commands.len() > 10);
        for command in &commands {
            let first = command.split(' ').next().unwrap();
            assert!(["curl", "for", "${EDITOR:-vi}", "sed", "/usr/bin/telamon"].contains(&first), "{command}");
            assert_eq!(command.matches('\'').count() % 2, 0, "{command}");
            assert!(!command.contains("/tmp/a b") || command.contains("'/tmp/a b"), "{command}");
        }
        for part in ["--http1.0", "--http2-prior-knowledge", "explain --config", "'/tmp/a b/endpoints/bakery.yaml'"] {
            assert!(commands.iter().any(|command| command.contains(part)), "{part}");
        }
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn a_path_survives_the_shell() {
        assert_eq!(quoted(Path::new("/tmp/x-1.yaml")), "/tmp/x-1.yaml");
        assert_eq!(quoted(Path::new("/tmp/it's")), "'/tmp/it'\\''s'");
        assert_eq!(quoted(Path::new("")), "''");
    }
}
