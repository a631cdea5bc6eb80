//! The program wanted to listen where another already does.

use super::Cause;
use crate::case::Case;
use crate::finding::{Basis, Depth, Finding, kube, ruled_out};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "port-conflict", judge, contradict };

/// How programs say it, in lower case.
const SAYINGS: [&str; 6] = [
    "address already in use",
    "address in use",
    "eaddrinuse",
    "port is already allocated",
    "only one usage of each socket address",
    "port already in use",
];

fn says_so(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    let numbered = lower.match_indices("port ").any(|(at, word)| {
        let whole = !lower[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
        whole && lower[at + word.len()..].starts_with(|c: char| c.is_ascii_digit()) && lower[at..].contains(" in use")
    });
    SAYINGS.iter().any(|s| lower.contains(s)) || numbered
}

/// The number after the word `port`, else the last that stands after a colon and is no time of day.
fn port(line: &str) -> Option<u16> {
    let lower = crate::complaint::joined(line).to_ascii_lowercase();
    let number =
        |text: &str| text.split(|c: char| !c.is_ascii_digit()).find_map(|n| n.parse::<u16>().ok().filter(|n| *n > 0));
    if let Some(at) = lower.find("port ") {
        return number(&lower[at..]);
    }
    let time = |word: &str| {
        // `2026-11-22t13:40:01z` has a day before it.
        let clock = word.rsplit('t').next().unwrap_or(word);
        let parts: Vec<&str> = clock.split([':', '.', ',']).collect();
        parts.len() >= 2 && parts[..2].iter().all(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_digit()))
    };
    let words = lower.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '\'' | '"' | '[' | ']'));
    let mut after_colon = words.filter(|w| !time(w)).filter_map(|w| {
        let (_, digits) = w.trim_end_matches([':', '.', ',']).rsplit_once(':')?;
        digits.parse::<u16>().ok().filter(|n| *n > 0)
    });
    after_colon.next_back()
}

fn judge(case: &Case<'_>) -> Option<Finding> {
    let t = case.terminated().filter(|t| !matches!(t.exit_code, 0 | 137) && t.reason != "OOMKilled")?;
    if case.deleting() || case.evicted() {
        return None;
    }
    let line = case.last_lines().iter().rev().find(|l| says_so(&l.line))?;
    let name = case.container.unwrap_or_default();
    let port = port(&line.line);
    let other = port.and_then(|port| {
        let spec = &case.pod.object.spec;
        let others = spec.containers.iter().chain(&spec.init_containers).filter(|c| c.name != name);
        others.into_iter().find(|c| c.ports.iter().any(|p| p.container_port == i64::from(port)))
    });
    let where_to = port.map_or(String::new(), |p| format!(" on port {p}"));
    let by = other.map_or(String::new(), |c| format!(", where container {} of the same pod does", c.name));
    let summary = format!("{name} ended with exit {}: it could not listen{where_to}{by}", t.exit_code);
    let declared = other.zip(port).map(|(c, port)| {
        let field = format!("spec.containers[{}].ports[].containerPort", c.name);
        kube(None, format!("Pod/{}", case.pod_name()), &field, port, "another container of the pod has this port")
    });
    let mut finding = Finding::new(CAUSE.id, Depth::Mechanism, 71, case.pod_root(), summary)
        .basis(Basis::Said)
        .with(Some(case.line(line, "what the program says")))
        .with(case.status("exitCode", "the exit code it chose"))
        .with(declared);
    if let Some(port) = port {
        finding = finding.detail(&port.to_string());
    }
    Some(finding)
}

fn contradict(case: &Case<'_>) -> Option<whyd_signals::schema::RuledOut> {
    case.terminated()?;
    let last = case.lines().last().filter(|_| !case.lines().iter().any(|l| says_so(&l.line)))?;
    let because = "none of its last lines tells of an address in use".to_owned();
    Some(ruled_out(CAUSE.id, because, "logs", last.line.clone()))
}

#[cfg(test)]
mod tests {
    use super::port;

    #[test]
    fn the_port_is_read_where_it_stands() {
        for (line, want) in [
            ("listen tcp 0.0.0.0:8080: bind: address already in use", Some(8080)),
            ("listen tcp :9090: bind: address already in use", Some(9090)),
            ("Error: listen EADDRINUSE: address already in use :::3000", Some(3000)),
            ("Web server failed to start. Port 8081 was already in use.", Some(8081)),
            ("2026-11-22 13:40:01 OSError: [Errno 98] Address already in use", None),
            ("2026/01/01 00:00:04 listen tcp :8080: bind: address already in use", Some(8080)),
            ("2026-11-22T13:40:01Z listen tcp :8080: bind: address already in use", Some(8080)),
            (
                "[Errno 98] error while attempting to bind on address ('0.0.0.0', 8080): address already in use",
                Some(8080),
            ),
            ("OSError: [Errno 98] Address already in use", None),
        ] {
            assert_eq!(port(line), want, "{line}");
        }
    }
}
