//! What a program's last lines say of something else that did not answer, and what they name.

mod resolve;

use std::collections::BTreeSet;
use std::time::Duration;

use whyd_buffers::LogLine;

pub(crate) use resolve::{Dependency, listening, resolve, workloads_of};

/// How a program says that something did not answer: letters and digits of the line alone, in lower case, so that one
/// phrase stands for what each language makes of it.
const REFUSED: [&str; 38] = [
    "connectionrefused",
    "econnrefused",
    "connectionreset",
    "econnreset",
    "connectionaborted",
    "connectionclosed",
    "connectionlost",
    "connectionerror",
    "connectionattemptfailed",
    "connectionfailed",
    "connectexception",
    "failedtoconnect",
    "unabletoconnect",
    "couldnotconnect",
    "cannotconnect",
    "cantconnect",
    "couldnotreach",
    "hostunreachable",
    "hostisunreachable",
    "networkunreachable",
    "networkisunreachable",
    "serverunreachable",
    "ehostunreach",
    "enetunreach",
    "noroutetohost",
    "brokenpipe",
    "timedout",
    "etimedout",
    "iotimeout",
    "timeoutexceeded",
    "timeouterror",
    "timeoutexception",
    "connectiontimeout",
    "connecttimeout",
    "deadlineexceeded",
    "closedtheconnection",
    "serverhasgoneaway",
    "hasnoleader",
];
/// Answers of a server that cannot serve.
const ANSWERS: [&str; 6] = [
    "badgateway",
    "serviceunavailable",
    "gatewaytimeout",
    "internalservererror",
    "noavailableserver",
    "nohealthyupstream",
];
/// Numbers of such answers, where a line speaks of a status.
const STATUSES: [&str; 4] = ["500", "502", "503", "504"];
/// How a program says that a name leads nowhere.
const UNRESOLVED: [&str; 14] = [
    "nosuchhost",
    "badaddress",
    "namenotknown",
    "nameorservicenotknown",
    "namedoesnotresolve",
    "nodenamenorservname",
    "eaiagain",
    "unknownhost",
    "couldnotresolve",
    "couldnottranslatehostname",
    "failedtolookupaddress",
    "failuretoresolve",
    "nxdomain",
    "temporaryfailureinnameresolution",
];
/// A program that ends of its own mistake says so in words like these; then what it complained of before is innocent.
const MISTAKES: [&str; 20] = [
    "panic: runtime error",
    "panic: assignment to entry in nil map",
    "panicked at",
    "nil pointer",
    "nullpointer",
    "typeerror",
    "keyerror",
    "attributeerror",
    "indexerror",
    "valueerror",
    "nameerror",
    "referenceerror",
    "syntaxerror",
    "assertionerror",
    "assertion failed",
    "index out of range",
    "out of bounds",
    "segmentation fault",
    "stack overflow",
    "illegalargument",
];
/// A complaint explains an end only so shortly before it, and among so many of the last lines.
const NEAR: Duration = Duration::from_secs(15);
const LAST: usize = 40;
/// The host may stand in a line about the complaint rather than in it.
const AROUND: usize = 6;

/// A line that complains, with the hosts that it and its neighbours name.
pub(crate) struct Complaint<'a> {
    pub(crate) line: &'a LogLine,
    pub(crate) hosts: Vec<String>,
}

pub(crate) fn letters(line: &str) -> String {
    line.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Whether a line says that something did not answer, or not well.
pub(crate) fn unanswered(line: &str) -> bool {
    let bare = letters(line);
    if REFUSED.iter().chain(&ANSWERS).any(|s| bare.contains(s)) {
        return true;
    }
    let lower = line.to_ascii_lowercase();
    // `Connection to db:5432 refused.`
    let split = lower.find("connection").is_some_and(|at| lower[at..].contains("refused"));
    let status = STATUSES.iter().any(|code| {
        let words = lower.split(|c: char| !c.is_ascii_alphanumeric());
        lower.contains("status") && words.into_iter().any(|w| w == *code)
    });
    split || status
}

/// Whether a line says that a name leads nowhere.
pub(crate) fn unresolved(line: &str) -> bool {
    let bare = letters(line);
    // `FileNotFoundError` is none of them.
    UNRESOLVED.iter().any(|s| bare.contains(s))
        || line.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == "ENOTFOUND")
}

fn mistake(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    MISTAKES.iter().any(|s| lower.contains(s)) && !unanswered(line) && !unresolved(line)
}

/// The last complaint of this kind that explains the end: near it, and followed by no mistake of the program's own.
pub(crate) fn of<'a>(said: &'a [LogLine], is: fn(&str) -> bool) -> Option<Complaint<'a>> {
    let said = &said[said.len().saturating_sub(LAST)..];
    let end = said.last()?.ts;
    let mut told: Option<(usize, u32)> = None;
    for (n, line) in said.iter().enumerate() {
        if is(&line.line) && end.seconds_since(line.ts) <= NEAR.as_secs_f64() {
            let weight = crate::last_words::weight(&line.line);
            if told.is_none_or(|(_, w)| weight >= w) {
                told = Some((n, weight));
            }
        } else if mistake(&line.line) {
            told = None;
        }
    }
    let (at, _) = told?;
    let around = at.saturating_sub(AROUND)..(at + AROUND).min(said.len());
    let mut hosts: Vec<String> = hosts_in(&said[at].line);
    for line in &said[around] {
        if is(&line.line) || hosts.is_empty() {
            hosts.extend(hosts_in(&line.line));
        }
    }
    let mut known = BTreeSet::new();
    hosts.retain(|h| known.insert(h.clone()));
    Some(Complaint { line: &said[at], hosts })
}

/// Words after which a bare name is a host.
const BEFORE_HOST: [&str; 15] = [
    "host",
    "hostname",
    "name",
    "dial",
    "lookup",
    "resolve",
    "to",
    "reach",
    "database",
    "server",
    "upstream",
    "address",
    "enotfound",
    "eai_again",
    "java.net.unknownhostexception",
];

/// Words that are never a host, whatever stands before them.
const NO_HOST: [&str; 21] = [
    "tcp", "tcp4", "tcp6", "udp", "unix", "name", "address", "or", "of", "is", "the", "a", "an", "and", "not", "to",
    "for", "on", "at", "in", "from",
];

/// Host names and addresses in a line, without port and scheme. A bare word is one only where something says so.
pub(crate) fn hosts_in(line: &str) -> Vec<String> {
    tokens(line).into_iter().map(|(host, _)| host).collect()
}

/// The port that a line names beside this address.
pub(crate) fn port_of(line: &str, host: &str) -> Option<u16> {
    tokens(line).into_iter().find_map(|(h, port)| if h == host { port } else { None })
}

/// `('10.1.2.3', 5432)` is an address and its port, as Python prints it: `10.1.2.3:5432`.
pub(crate) fn joined(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("', ") {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let after = &after[3..];
        out.push_str(if after.starts_with(|c: char| c.is_ascii_digit()) { ":" } else { "', " });
        rest = after;
    }
    out.push_str(rest);
    out
}

fn tokens(line: &str) -> Vec<(String, Option<u16>)> {
    let line = joined(line);
    let split = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']' | '/' | '@'));
    let mut found: Vec<(String, Option<u16>)> = Vec::new();
    let mut before = String::new();
    for word in line.split(split).filter(|w| !w.is_empty()) {
        let (scheme, token) = word.rsplit_once("//").map_or((false, word), |(_, rest)| (true, rest));
        let token = token.split('/').next().unwrap_or(token);
        let token = token.rsplit('@').next().unwrap_or(token);
        let token = token.trim_matches(|c| matches!(c, ':' | '.' | '-' | '[' | ']'));
        let (host, port) = token.rsplit_once(':').map_or((token, None), |(h, p)| (h, p.parse::<u16>().ok()));
        let host = if port.is_some() { host.trim_end_matches(']') } else { token };
        let name = host.contains(|c: char| c.is_ascii_alphabetic()) && !host.contains([':', '_']);
        // A file and its line is no host, nor is a class; hosts are written in small letters.
        let class = host.contains(|c: char| c.is_ascii_uppercase()) || host.ends_with("error");
        // `1.5s` and `v1.2` are no hosts: their labels begin with letters, and a name has no label of one digit.
        let figure =
            host.contains('.') && host.split('.').any(|l| l.is_empty() || l.starts_with(|c: char| c.is_ascii_digit()));
        let figure = figure && host.parse::<std::net::IpAddr>().is_err();
        let file = [".go", ".py", ".js", ".ts", ".rs", ".java", ".rb", ".php", ".c", ".cc", ".cpp", ".kt"]
            .iter()
            .any(|e| host.ends_with(e));
        let said = scheme || port.is_some() || host.contains('.') || BEFORE_HOST.contains(&before.as_str());
        if !file
            && !class
            && !figure
            && !NO_HOST.contains(&host)
            && (host.parse::<std::net::IpAddr>().is_ok() || name && said)
        {
            found.push((host.to_ascii_lowercase(), port));
        }
        before = word.trim_matches(':').to_ascii_lowercase();
    }
    found
}

#[cfg(test)]
mod tests {
    use whyd_buffers::Level;
    use whyd_signals::{TemplateId, Timestamp};

    use super::*;

    #[test]
    fn hosts_are_found_with_and_without_port() {
        let line = "FATAL: could not reach database db.shop.svc.cluster.local:5432: dial tcp 10.1.2.3:5432: connection refused";
        let found = hosts_in(line);
        assert!(found.contains(&"db.shop.svc.cluster.local".to_owned()), "{found:?}");
        assert!(found.contains(&"10.1.2.3".to_owned()), "{found:?}");
        assert!(hosts_in("http://cache:6379/x timed out").contains(&"cache".to_owned()));
        assert!(hosts_in("postgres://[redacted]@db/shop: connection refused").contains(&"db".to_owned()));
        assert!(hosts_in("lookup paydb: no such host").contains(&"paydb".to_owned()));
        assert!(hosts_in("error: invalid paydb field in request body, read timed out").is_empty());
        assert_eq!(port_of("Error: connect ECONNREFUSED 10.1.2.3:5432", "10.1.2.3"), Some(5432));
        assert_eq!(port_of("[Errno 111] Connect call failed ('10.1.2.3', 5432)", "10.1.2.3"), Some(5432));
        assert!(hosts_in("main.go:42 started").is_empty());
        assert_eq!(hosts_in("java.net.UnknownHostException: paydb: Name or service not known"), ["paydb"]);
        assert_eq!(hosts_in("HTTPConnectionPool(host='orders', port=8080): Max retries exceeded"), ["orders"]);
        assert_eq!(
            hosts_in("could not translate host name \"pricing\" to address: Name or service not known"),
            ["pricing"]
        );
        assert_eq!(hosts_in("dur=1.5s msg=\"dial tcp: lookup paydb: no such host\""), ["paydb"]);
        assert_eq!(hosts_in("getaddrinfo EAI_AGAIN paydb"), ["paydb"]);
        assert_eq!(hosts_in("wget: bad address 'paydb:8080'"), ["paydb"]);
    }

    #[test]
    fn languages_say_it_in_their_own_ways() {
        for line in [
            "Error: connect ECONNREFUSED 10.1.2.3:5432",
            "ConnectionRefusedError: [Errno 111] Connect call failed ('10.1.2.3', 5432)",
            "org.postgresql.util.PSQLException: Connection to paydb:5432 refused. Check that the hostname is right",
            "SQLSTATE[HY000] [2002] Can't connect to MySQL server on 'db' (115)",
            "server closed the connection unexpectedly",
            "upstream answered with status 503",
            "context deadline exceeded",
            "HTTP 502 Bad Gateway",
        ] {
            assert!(unanswered(line), "{line}");
        }
        for line in ["getaddrinfo ENOTFOUND paydb", "Name or service not known", "dial tcp: lookup db: no such host"] {
            assert!(unresolved(line), "{line}");
        }
        for line in ["FileNotFoundError: [Errno 2] No such file", "ModuleNotFoundError: No module named 'flask'"] {
            assert!(!unresolved(line), "{line}");
        }
        for line in ["request took 500 ms", "listening on port 503", "KeyError: 'timeout'"] {
            assert!(!unanswered(line), "{line}");
        }
    }

    fn lines(texts: &[&str]) -> Vec<LogLine> {
        let line = |(n, text): (usize, &&str)| LogLine {
            ts: Timestamp(n as i64 * 1_000_000_000),
            line: (*text).to_owned(),
            level: Level::Unknown,
            template_id: TemplateId(0),
            namespace: "n".into(),
            pod: "p".into(),
            container: "c".into(),
        };
        texts.iter().enumerate().map(line).collect()
    }

    #[test]
    fn a_mistake_after_it_makes_a_complaint_innocent() {
        let own = lines(&["query to db:5432 timed out, trying again", "panic: assignment to entry in nil map"]);
        assert!(of(&own, unanswered).is_none());
        let given_up = lines(&["connect to db:5432: connection refused", "fatal: giving up"]);
        assert_eq!(of(&given_up, unanswered).map(|c| c.hosts), Some(vec!["db".to_owned()]));
        let java = lines(&[
            "Exception in thread \"main\" java.lang.IllegalArgumentException: no pool for db:5432",
            "\tat shop.Main.main(Main.java:12)",
            "Caused by: java.net.ConnectException: Connection refused",
        ]);
        assert_eq!(of(&java, unanswered).map(|c| c.hosts), Some(vec!["db".to_owned()]));
    }
}
