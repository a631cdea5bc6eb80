//! From a line to its skeleton: what varies becomes `<*>`, by rules that know no source and no format.
//!
//! One pass over the bytes, no regular expression. Words end at blanks and at punctuation; a word is a variable when it
//! is a number with its unit of size, a date, an address, a hexadecimal or other id, a file path, a host name, or a
//! truth value. A word keeps a lone digit after letters (`utf8`, `jk2_init`, `L3`): such digits name things more often
//! than they count them.

/// What stands for a variable.
pub(crate) const VARIABLE: &str = "<*>";
/// A line is read up to here; what differs later is not told apart.
const MAX_LINE: usize = 4096;

const BLANK: u8 = 0;
const SPLIT: u8 = 1;
const LETTER: u8 = 2;
const DIGIT: u8 = 3;
/// Stands inside words: `_ - . / @ $ ~ + * \`.
const JOIN: u8 = 4;

const CLASS: [u8; 256] = {
    let mut class = [LETTER; 256];
    let mut byte = 0;
    while byte < 128 {
        class[byte] = match byte as u8 {
            b'0'..=b'9' => DIGIT,
            b'a'..=b'z' | b'A'..=b'Z' => LETTER,
            b'_' | b'-' | b'.' | b'/' | b'@' | b'$' | b'~' | b'+' | b'*' | b'\\' => JOIN,
            0..=32 | 127 => BLANK,
            _ => SPLIT,
        };
        byte += 1;
    }
    class
};

/// Domains that a host name without digits is known by.
const DOMAINS: &[&str] = &["com", "net", "org", "edu", "gov", "io", "dev", "local", "internal", "svc", "cloud"];
/// Of a date, when a number or another of them follows.
const DATE_WORDS: &[&str] = &[
    "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep",
    "Oct", "Nov", "Dec",
];
/// After a number they vary with it.
const SIZES: &[&str] = &["B", "KB", "MB", "GB", "TB", "kB", "KiB", "MiB", "GiB", "TiB"];
const METHODS: &[&str] = &["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"];

/// Writes the skeleton of the first row of `line` over `out`.
pub(crate) fn skeleton(line: &str, out: &mut String) {
    out.clear();
    let bytes = line.as_bytes();
    let bytes = &bytes[..bytes.len().min(MAX_LINE)];
    let mut at = 0;
    let mut gap = false;
    let mut after_method = false;
    let mut after_number = false;
    while at < bytes.len() {
        let start = at;
        match CLASS[bytes[at] as usize] {
            BLANK => {
                if bytes[at] == b'\n' && !out.is_empty() {
                    break;
                }
                gap = true;
                at += 1;
                continue;
            }
            SPLIT => {
                at += 1;
                separate(out, &mut gap);
                out.push(bytes[start] as char);
                if bytes[start] != b'"' {
                    after_method = false;
                }
                after_number = false;
                continue;
            }
            _ => {}
        }
        if let Some(end) = hardware_address(bytes, at) {
            separate(out, &mut gap);
            out.push_str(VARIABLE);
            at = end;
            continue;
        }
        let mut digits = 0;
        let mut seen = 0u8;
        while at < bytes.len() {
            let class = CLASS[bytes[at] as usize];
            // A row of dots is a leader, not part of the word.
            if class < LETTER || at > start && bytes[at] == b'.' && bytes.get(at + 1) == Some(&b'.') {
                break;
            }
            digits += u32::from(class == DIGIT);
            seen |= 1 << class;
            at += 1;
        }
        let blank = gap;
        separate(out, &mut gap);
        let word = line.get(start..at).unwrap_or_default();
        let is_url = bytes.get(at) == Some(&b':') && bytes.get(at + 1..at + 3) == Some(b"//");
        if is_url && digits == 0 {
            out.push_str(word);
            out.push_str("://");
            out.push_str(VARIABLE);
            at += bytes[at..].iter().take_while(|b| !ends_url(**b)).count();
            after_method = false;
            continue;
        }
        let dots = word.bytes().take_while(|b| *b == b'.').count();
        if dots > 1 {
            at = start + dots;
            out.push_str(&word[..dots]);
            continue;
        }
        let trimmed = word.trim_end_matches('.');
        if std::mem::take(&mut after_number) && blank && SIZES.contains(&trimmed) {
            // The number before it stands for both.
            out.pop();
            out.push_str(&word[trimmed.len()..]);
            continue;
        }
        after_number = seen & (1 << LETTER) == 0 && digits > 0 && trimmed.len() == word.len();
        if after_method && trimmed.starts_with('/') {
            route(trimmed, out);
        } else if seen & (1 << JOIN) == 0 && digits == 0 {
            let varies = matches!(trimmed, "true" | "false" | "True" | "False")
                || DATE_WORDS.contains(&trimmed) && starts_date(bytes, at);
            out.push_str(if varies { VARIABLE } else { trimmed });
        } else {
            word_with_more(trimmed, digits, seen & (1 << LETTER) != 0, out);
        }
        out.push_str(&word[trimmed.len()..]);
        after_method = METHODS.contains(&trimmed);
    }
}

/// One blank for any run of them, none at the start.
fn separate(out: &mut String, gap: &mut bool) {
    if *gap && !out.is_empty() {
        out.push(' ');
    }
    *gap = false;
}

/// Whether a number, or another word of a date, comes next.
fn starts_date(bytes: &[u8], at: usize) -> bool {
    let blanks = bytes[at..].iter().take_while(|b| matches!(**b, b' ' | b',')).count();
    let rest = &bytes[at + blanks..];
    let next = rest.first().is_some_and(u8::is_ascii_digit);
    blanks > 0 && (next || rest.get(..3).is_some_and(|word| DATE_WORDS.iter().any(|d| d.as_bytes() == word)))
}

/// The end of six or more pairs of hexadecimal digits joined by colons.
fn hardware_address(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    let mut pairs = 0;
    while bytes.get(at..at + 2)?.iter().all(u8::is_ascii_hexdigit) {
        at += 2;
        pairs += 1;
        if bytes.get(at) != Some(&b':') {
            return (pairs >= 6).then_some(at);
        }
        at += 1;
    }
    None
}

fn ends_url(byte: u8) -> bool {
    byte <= b' ' || matches!(byte, b'"' | b'\'' | b'<' | b'>' | b')' | b']' | b'}' | b',' | b';')
}

/// A word with digits, or with punctuation inside.
fn word_with_more(word: &str, digits: u32, letters: bool, out: &mut String) {
    if digits == 0 {
        let varies = is_path(word) || is_host(word);
        out.push_str(if varies { VARIABLE } else { word });
    } else if letters && !is_host(word) && is_name(word, digits) {
        out.push_str(word);
    } else if let Some((name, number)) = word.rsplit_once('.')
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphabetic())
        && number.bytes().all(|b| b.is_ascii_digit())
    {
        out.push_str(name);
        out.push('.');
        out.push_str(VARIABLE);
    } else {
        out.push_str(VARIABLE);
    }
}

/// One digit, right after a letter, and no path: a name with a digit in it.
fn is_name(word: &str, digits: u32) -> bool {
    let bytes = word.as_bytes();
    digits == 1
        && !word.starts_with('/')
        && bytes.windows(2).any(|pair| pair[0].is_ascii_alphabetic() && pair[1].is_ascii_digit())
}

/// An absolute path of two parts or more.
fn is_path(word: &str) -> bool {
    word.starts_with('/') && word[1..].contains('/')
}

/// Two dots or more, and a domain at the end but not at the start: names of packages have it there.
fn is_host(word: &str) -> bool {
    let mut parts = word.split('.');
    let first = parts.next().unwrap_or_default();
    word.bytes().filter(|b| *b == b'.').count() >= 2
        && parts.next_back().is_some_and(|last| DOMAINS.contains(&last))
        && !DOMAINS.contains(&first)
}

/// The path of a request keeps its words: it names the operation. Parts with digits vary, versions do not.
fn route(path: &str, out: &mut String) {
    for (i, part) in path.split('/').enumerate() {
        if i > 0 {
            out.push('/');
        }
        let digits = part.bytes().filter(u8::is_ascii_digit).count() as u32;
        let version = part.strip_prefix('v').is_some_and(|v| v.starts_with(|c: char| c.is_ascii_digit()));
        let varies = digits > 0 && !version && !is_name(part, digits);
        out.push_str(if varies { VARIABLE } else { part });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn skeletons() {
        let check = |line: &str, expected: &str| {
            let mut out = String::new();
            skeleton(line, &mut out);
            assert_eq!(out, expected, "{line}");
        };
        check("started in 12.5ms", "started in <*>");
        check("  two   blanks\tand a tab ", "two blanks and a tab");
        check("10.1.2.3:8080 refused", "<*>:<*> refused");
        check("dial tcp 10.1.2.3:5432: connect: connection refused", "dial tcp <*>:<*>: connect: connection refused");
        check("id=3f2a9c44-1b2c-4d5e-8f90-123456789abc ok", "id=<*> ok");
        check("at 0x0b85eee0, mask 0x05", "at <*>, mask <*>");
        check("jk2_init() found utf8 L3", "jk2_init() found utf8 L3");
        check("generating core.2275", "generating core.<*>");
        check("Block blk_-1608999687919862906 on node-12", "Block <*> on <*>");
        check("GET /api/v1/users/8812 HTTP/1.1", "GET /api/v1/users/<*> <*>");
        check("\"POST /cart/items\" 500", "\"POST /cart/items\" <*>");
        check("open /etc/ssl/key.pem: permission denied", "open <*>: permission denied");
        check("no route /healthz.", "no route /healthz.");
        check("Get \"http://db:5432/x?y=1\": EOF", "Get \"http://<*>\": EOF");
        check("lookup cart.shop.svc.cluster.local failed", "lookup <*> failed");
        check("java.lang.NullPointerException at x", "java.lang.NullPointerException at x");
        check("com.shop.io.Reader", "com.shop.io.Reader");
        check("{\"level\":\"error\",\"ts\":1.5,\"msg\":\"no\"}", "{\"level\":\"error\",\"ts\":<*>,\"msg\":\"no\"}");
        check("at Fri Jun 17 07:07:00 2005", "at <*> <*> <*> <*>:<*>:<*> <*>");
        check("you May not", "you May not");
        check("size 5.2 KB, free 3 B.", "size <*>, free <*>.");
        check("ready... true", "ready... <*>");
        check("prefetch threshold......0", "prefetch threshold......<*>");
        check("link aa:0b:cc:dd:ee:0f up", "link <*> up");
        check("worker1.eu.shop.com left", "<*> left");
        check("first\nsecond 2", "first");
        check("größe 5 überschritten", "größe <*> überschritten");
        check("", "");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_fine_and_a_skeleton_is_its_own(line in ".{0,200}") {
            let (mut once, mut twice) = (String::new(), String::new());
            skeleton(&line, &mut once);
            skeleton(&line, &mut twice);
            proptest::prop_assert_eq!(once, twice);
        }
    }
}
