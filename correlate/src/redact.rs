//! Secrets are taken out of log lines before they become evidence: by rule, so that the rest stays word for word.

use std::borrow::Cow;

/// What stands in a secret's place.
const MASK: &str = "[redacted]";
/// Names whose value is a secret, in lower case without separators.
const NAMES: [&str; 12] = [
    "password",
    "passwd",
    "pwd",
    "secret",
    "token",
    "apikey",
    "authorization",
    "accesskey",
    "secretkey",
    "privatekey",
    "credential",
    "credentials",
];
/// How well-known tokens begin.
const PREFIXES: [&str; 10] = ["eyJ", "AKIA", "ASIA", "ghp_", "gho_", "ghs_", "glpat-", "xoxb-", "xoxp-", "sk-"];
/// Shorter words are no tokens.
const TOKEN: usize = 16;

/// The line without its secrets; borrowed where there are none.
pub fn redact(line: &str) -> Cow<'_, str> {
    let mut cuts: Vec<(usize, usize)> = Vec::new();
    userinfo(line, &mut cuts);
    mail_addresses(line, &mut cuts);
    words(line, &mut cuts);
    if cuts.is_empty() {
        return Cow::Borrowed(line);
    }
    cuts.sort_unstable();
    let mut out = String::with_capacity(line.len());
    let mut at = 0;
    for (from, to) in cuts {
        if from < at {
            continue;
        }
        out.push_str(&line[at..from]);
        out.push_str(MASK);
        at = to;
    }
    out.push_str(&line[at..]);
    Cow::Owned(out)
}

/// `scheme://user:password@host`: everything between the slashes and the last `@` before the path.
fn userinfo(line: &str, cuts: &mut Vec<(usize, usize)>) {
    for (at, _) in line.match_indices("://") {
        let from = at + 3;
        let rest = &line[from..];
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'' | '?')).unwrap_or(rest.len());
        if let Some(sign) = rest[..end].rfind('@') {
            cuts.push((from, from + sign));
        }
    }
}

/// `somebody@shop.example`: who it is goes, where stays.
fn mail_addresses(line: &str, cuts: &mut Vec<(usize, usize)>) {
    let local = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-');
    for (sign, _) in line.match_indices('@') {
        let from =
            line[..sign].rfind(|c| !local(c)).map_or(0, |i| i + line[i..].chars().next().map_or(1, char::len_utf8));
        let rest = &line[sign + 1..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))).unwrap_or(rest.len());
        let domain = rest[..end].trim_end_matches('.');
        let last = domain.rsplit_once('.').map_or("", |(_, last)| last);
        if from < sign && last.len() >= 2 && last.bytes().all(|b| b.is_ascii_alphabetic()) {
            cuts.push((from, sign));
        }
    }
}

fn words(line: &str, cuts: &mut Vec<(usize, usize)>) {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+' | '/' | '~');
    let mut from = 0;
    while let Some(start) = line[from..].find(inner).map(|i| i + from) {
        let end = line[start..].find(|c| !inner(c)).map_or(line.len(), |i| i + start);
        let word = &line[start..end];
        let scheme = word.eq_ignore_ascii_case("bearer") || word.eq_ignore_ascii_case("basic");
        if secret_name(word) {
            from = value(line, end, cuts).unwrap_or(end);
        } else if scheme && line[end..].starts_with(' ') {
            let to = value_end(line, end + 1);
            // A word is no token: `basic setup` stays.
            if to - end > TOKEN / 2 {
                cuts.push((end + 1, to));
            }
            from = to.max(end);
        } else {
            if word.len() >= TOKEN && PREFIXES.iter().any(|p| word.starts_with(p)) {
                cuts.push((start, end));
            }
            from = end;
        }
    }
}

/// Whether a name like `DB_PASSWORD` or `api-key` tells that its value is secret.
fn secret_name(word: &str) -> bool {
    let plain: String = word.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    NAMES.iter().any(|n| plain.ends_with(n))
}

/// Cuts the value after `=` or `:`; gives where it ends, `None` when the name has no value.
fn value(line: &str, name_end: usize, cuts: &mut Vec<(usize, usize)>) -> Option<usize> {
    let rest = line[name_end..].trim_start_matches(['"', '\'', '\\', ' ']);
    let rest = rest.strip_prefix(['=', ':'])?.trim_start_matches([' ', '"', '\'', '\\']);
    let mut from = line.len() - rest.len();
    let lower = rest.to_ascii_lowercase();
    for scheme in ["bearer ", "basic "] {
        if lower.starts_with(scheme) {
            from += scheme.len();
        }
    }
    let to = value_end(line, from);
    if to == from {
        return None;
    }
    cuts.push((from, to));
    Some(to)
}

fn value_end(line: &str, from: usize) -> usize {
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';' | '&' | '}' | ')' | ']' | '\\');
    line[from..].find(ends).map_or(line.len(), |i| from + i)
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn secrets_go_and_the_rest_stays() {
        for (line, wanted) in [
            ("login failed password=hunter2 user=bob", "login failed password=[redacted] user=bob"),
            ("DB_PASSWORD: 'p w' x", "DB_PASSWORD: '[redacted] w' x"),
            (r#"{"token":"abc","level":"error"}"#, r#"{"token":"[redacted]","level":"error"}"#),
            ("Authorization: Bearer abc.def.ghi next", "Authorization: Bearer [redacted] next"),
            ("sent Bearer 0123456789abcdef", "sent Bearer [redacted]"),
            ("dial postgres://shop:s3cret@db:5432/x", "dial postgres://[redacted]@db:5432/x"),
            ("key AKIAIOSFODNN7EXAMPLE used", "key [redacted] used"),
            ("order of mia.k+shop@mail.example failed", "order of [redacted]@mail.example failed"),
            ("jwt eyJhbGciOiJIUzI1NiJ9.e30.abc", "jwt [redacted]"),
        ] {
            assert_eq!(redact(line), wanted);
        }
    }

    #[test]
    fn what_is_no_secret_stays_word_for_word() {
        for line in [
            "panic: assignment to entry in nil map",
            "unexpected token at line 3",
            "dial tcp 10.128.167.224:5432: connect: connection refused",
            "image shop@sha256:0123 pulled",
            "basic setup of http://shop.example/path done",
            "the secret is not found",
            "Schlüssel größer als erlaubt: 12",
        ] {
            assert_eq!(redact(line), line);
        }
    }
}
