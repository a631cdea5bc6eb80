//! Secrets are taken out of log lines before they become evidence: by rule, so that the rest stays word for word.

use std::borrow::Cow;
use std::sync::Arc;

/// What stands in a secret's place.
const MASK: &str = "[redacted]";
/// Names whose value is a secret, in lower case without separators.
const NAMES: [&str; 18] = [
    "password",
    "passwd",
    "passphrase",
    "pass",
    "pwd",
    "secret",
    "token",
    "apikey",
    "authorization",
    "accesskey",
    "accountkey",
    "secretkey",
    "privatekey",
    "credential",
    "credentials",
    "signature",
    "cookie",
    "sessionid",
];
/// Names that end in one of the above and hold none.
const HARMLESS: [&str; 3] = ["bypass", "compass", "pagetoken"];
/// Names of which the value is a secret even where only a verb stands between.
const TOLD: [&str; 4] = ["password", "passwd", "passphrase", "pwd"];
/// How well-known tokens begin.
const PREFIXES: [&str; 18] = [
    "eyJ",
    "AKIA",
    "ASIA",
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "sk-",
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "AIza",
    "npm_",
    "dop_v1_",
];
/// Shorter words are no tokens.
const TOKEN: usize = 16;
/// A word of this length in the alphabet of base64, as in keys and certificates, is one whatever stands before it.
const ENCODED: usize = 40;

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

/// The same text without secrets; itself where it has none.
pub fn redacted(text: &Arc<str>) -> Arc<str> {
    match redact(text) {
        Cow::Borrowed(_) => Arc::clone(text),
        Cow::Owned(clean) => clean.into(),
    }
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
    let mut before = "";
    while let Some(start) = line[from..].find(inner).map(|i| i + from) {
        let end = line[start..].find(|c| !inner(c)).map_or(line.len(), |i| i + start);
        let word = &line[start..end];
        let scheme = word.eq_ignore_ascii_case("bearer") || word.eq_ignore_ascii_case("basic");
        if secret_name(word) {
            from = value(line, (start, end), cuts).unwrap_or(end);
        } else if scheme && line[end..].starts_with(' ') {
            let to = value_end(line, end + 1);
            // A word is no token: `basic setup` stays.
            if to - end > TOKEN / 2 {
                cuts.push((end + 1, to));
            }
            from = to.max(end);
        } else {
            let known = word.len() >= TOKEN && PREFIXES.iter().any(|p| word.starts_with(p));
            if known || encoded(word) {
                cuts.push((start, end));
            } else if let Some(at) = client_secret(line, (start, end), before) {
                cuts.push((at, value_end(line, at)));
            }
            from = end;
        }
        before = word;
    }
}

/// Where the secret begins that a client is given by its own habit: `mysql -pSECRET`, `curl -u user:SECRET`,
/// `AUTH SECRET`.
fn client_secret(line: &str, (start, end): (usize, usize), before: &str) -> Option<usize> {
    let word = &line[start..end];
    if word.starts_with("-p") && word.len() > 4 && !word.starts_with("--") && line.contains("mysql") {
        return Some(start + 2);
    }
    if before == "-u" && line[end..].starts_with(':') {
        return Some(end + 1);
    }
    (before == "AUTH" && word.len() > 3).then_some(start)
}

/// Whether a word is written in base64: of all cases and many digits, unlike paths, digests and names.
fn encoded(word: &str) -> bool {
    let plain = word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'));
    let count = |is: fn(&u8) -> bool| word.bytes().filter(is).count();
    word.len() >= ENCODED
        && plain
        && count(|b| b.is_ascii_digit()) >= word.len() / 16
        && count(|b| b.is_ascii_uppercase()) >= word.len() / 8
        && count(|b| b.is_ascii_lowercase()) >= word.len() / 8
        && count(|b| *b == b'/') <= word.len() / 16
}

/// Whether a name ends in this one, written in whatever case and with whatever separators.
fn ends_in(word: &str, name: &str) -> bool {
    let mut plain = word.bytes().rev().filter(u8::is_ascii_alphanumeric);
    name.bytes().rev().all(|b| plain.next().is_some_and(|w| w.eq_ignore_ascii_case(&b)))
}

/// Whether a name like `DB_PASSWORD` or `api-key` tells that its value is secret.
fn secret_name(word: &str) -> bool {
    let signature = word.eq_ignore_ascii_case("sig");
    signature || NAMES.iter().any(|n| ends_in(word, n)) && !HARMLESS.iter().any(|n| ends_in(word, n))
}

/// Cuts the value of a secret name; gives where it ends, `None` when the name has no value. A value comes after `=` or
/// `:`, after an option, in quotes, or after `is`.
fn value(line: &str, (start, name_end): (usize, usize), cuts: &mut Vec<(usize, usize)>) -> Option<usize> {
    let after = &line[name_end..];
    let opened = after.trim_start_matches(['"', '\'', '\\', ' ']);
    let name = &line[start..name_end];
    let rest = if let Some(rest) = opened.strip_prefix(['=', ':']) {
        rest
    } else if name.starts_with("--") && after.starts_with(' ') {
        after
    } else if let Some(told) = told(name, after) {
        told
    } else {
        // `token 'abcdefgh'`: a short one may be a token of a grammar.
        let quoted = after.strip_prefix(" '").or(after.strip_prefix(" \""))?;
        let inside = quoted.split(['\'', '"']).next().unwrap_or_default();
        if inside.len() < TOKEN / 2 || inside.contains(char::is_whitespace) {
            return None;
        }
        &after[1..]
    };
    let bare = rest.trim_start_matches([' ', '"', '\'', '\\']);
    let mut from = line.len() - bare.len();
    if bare.starts_with(MASK) {
        return Some(from + MASK.len());
    }
    let lower = bare.to_ascii_lowercase();
    for scheme in ["bearer ", "basic "] {
        if lower.starts_with(scheme) {
            from += scheme.len();
        }
    }
    let quote = line[..from].chars().next_back().filter(|c| matches!(c, '"' | '\''));
    let to = match quote {
        // All that is quoted, blanks too.
        Some(quote) => line[from..].find(quote).map_or_else(|| value_end(line, from), |i| from + i),
        None if ends_in(name, "cookie") => line.len(),
        None => value_end(line, from),
    };
    let to = from + line[from..to].trim_end_matches('\\').len();
    if to == from {
        return None;
    }
    cuts.push((from, to));
    Some(to)
}

/// What comes after `password is` and the like.
fn told<'a>(name: &str, after: &'a str) -> Option<&'a str> {
    let rest = after.strip_prefix(" is ").or(after.strip_prefix(" was "))?;
    // `the password is wrong` tells none.
    let word = rest.split_whitespace().next().unwrap_or_default();
    let telling = word.starts_with(['"', '\'']) || word.bytes().any(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
    (telling && TOLD.iter().any(|n| ends_in(name, n))).then_some(rest)
}

fn value_end(line: &str, from: usize) -> usize {
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';' | '&' | '}' | ')' | ']' | '\\');
    line[from..].find(ends).map_or(line.len(), |i| from + i)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{redact, redacted};

    #[test]
    fn what_has_no_secret_is_shared() {
        let (bare, secret) = (Arc::from("user <*> in"), Arc::from("user <*> password=hunter2"));
        assert!(Arc::ptr_eq(&redacted(&bare), &bare));
        assert_eq!(&*redacted(&secret), "user <*> password=[redacted]");
    }

    #[test]
    fn secrets_go_and_the_rest_stays() {
        for (line, wanted) in [
            ("login failed password=hunter2 user=bob", "login failed password=[redacted] user=bob"),
            ("DB_PASSWORD: 'p w' x", "DB_PASSWORD: '[redacted]' x"),
            ("password=[redacted] x", "password=[redacted] x"),
            ("vault: wrong passphrase=hunter2", "vault: wrong passphrase=[redacted]"),
            ("run --db-pass hunter2 --port 5432", "run --db-pass [redacted] --port 5432"),
            ("mysqladmin ping -uroot -phunter2", "mysqladmin ping -uroot -p[redacted]"),
            ("curl -u admin:hunter2 http://x", "curl -u admin:[redacted] http://x"),
            ("redis AUTH hunter2", "redis AUTH [redacted]"),
            ("the password is Hunter2 now", "the password is [redacted] now"),
            ("invalid token 'abcdefgh12'", "invalid token '[redacted]'"),
            ("Cookie: sid=abc; other=def", "Cookie: [redacted]"),
            ("GET /x?sig=abc&a=b", "GET /x?sig=[redacted]&a=b"),
            ("?X-Amz-Signature=0af3&y=1", "?X-Amz-Signature=[redacted]&y=1"),
            ("AccountKey=abc==;Endpoint=x", "AccountKey=[redacted];Endpoint=x"),
            ("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7", "[redacted]"),
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
            "the password is wrong",
            "Unexpected token '<', \"<!DOCTYPE \"... is not valid JSON",
            "Unexpected token } in JSON at position 7",
            "bypass: 3, compass: north",
            "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "at /usr/local/lib/python3.11/site-packages/SQLAlchemy/engine/Base2Default.py",
            "Schlüssel größer als erlaubt: 12",
        ] {
            assert_eq!(redact(line), line);
        }
    }
}
