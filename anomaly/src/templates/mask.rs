//! From text to its skeleton: what varies becomes `<*>`, by rules that know no source.
//!
//! One pass over the bytes, no regular expression; constant text is copied in runs. Words end at blanks and at
//! punctuation; a word is a variable when it is a number with its unit of size, a date, an address, a hexadecimal or
//! other id, a file path, a host name, or a truth value. A word keeps a lone digit after letters (`utf8`, `jk2_init`,
//! `L3`): such digits name things more often than they count them. Variables in a row are one, since lists have any
//! length.

use super::words::{self, BLANK, DIGIT, DOT, LETTER, SPLIT, blanks, class, is_blank};

/// What stands for a variable.
pub(super) const VARIABLE: &[u8] = b"<*>";

/// Domains that a host name without digits is known by.
const DOMAINS: [&[u8]; 11] =
    [b"com", b"net", b"org", b"edu", b"gov", b"io", b"dev", b"local", b"internal", b"svc", b"cloud"];

/// The skeleton in the making: the text so far, and the run of constant text that is not copied yet.
struct Writing<'t, 'o> {
    text: &'t [u8],
    out: &'o mut Vec<u8>,
    from: usize,
}

impl Writing<'_, '_> {
    /// Copies the constant text up to here.
    fn keep(&mut self, upto: usize) {
        self.out.extend_from_slice(self.text.get(self.from..upto).unwrap_or_default());
        self.from = upto;
    }

    /// What is between these is a variable.
    fn variable(&mut self, start: usize, end: usize) {
        let between = self.text.get(self.from..start).unwrap_or_default();
        let follows = match between {
            b" " => self.out.ends_with(VARIABLE),
            b"" => self.out.ends_with(b"<*> "),
            _ => false,
        };
        if !follows {
            self.keep(start);
            self.out.extend_from_slice(VARIABLE);
        } else if between.is_empty() {
            self.out.pop();
        }
        self.from = end;
    }
}

/// Appends the skeleton of the first row of `text`: blanks at both ends are left away, others become one.
pub(super) fn mask(text: &[u8], out: &mut Vec<u8>) {
    let mut at = blanks(text);
    let mut w = Writing { text, out, from: at };
    let (mut after_method, mut after_number) = (false, false);
    while let Some(first) = text.get(at) {
        let start = at;
        let class = class(*first);
        if class == BLANK {
            at += 1;
            if *first == b' ' && text.get(at).is_some_and(|b| !is_blank(*b)) {
                continue;
            }
            at += blanks(&text[at..]);
            w.keep(start);
            if at == text.len() || text[start..at].contains(&b'\n') {
                return;
            }
            w.from = at - 1;
            if text[at - 1] != b' ' {
                w.out.push(b' ');
                w.from = at;
            }
            continue;
        }
        if class == SPLIT {
            at += 1;
            match *first {
                // An empty value, not the call of a function.
                b'(' if text.get(at) == Some(&b')') && start > 0 && is_blank(text[start - 1]) => {
                    w.variable(at, at);
                }
                b'=' => {
                    if let Some(end) = quoted_value(text, start) {
                        w.variable(at, end);
                        at = end;
                    }
                }
                _ => {}
            }
            after_method &= *first == b'"';
            after_number = false;
            continue;
        }
        if text.get(at + 2) == Some(&b':')
            && let Some(end) = hardware_address(text, at)
        {
            w.variable(at, end);
            at = end;
            continue;
        }
        let (word_end, seen) = words::take(text, at);
        at = word_end;
        if seen & DIGIT == 0 && text.get(at..at + 3) == Some(b"://") {
            let rest = at + 3;
            at = rest + text[rest..].iter().take_while(|b| !ends_url(**b)).count();
            w.variable(rest, at);
            after_method = false;
            continue;
        }
        let mut end = word_end;
        if seen & DOT != 0 {
            let dots = text[start..end].iter().take_while(|b| **b == b'.').count();
            if dots > 1 {
                at = start + dots;
                continue;
            }
            end -= text[start..end].iter().rev().take_while(|b| **b == b'.').count();
        }
        let trimmed = &text[start..end];
        let blank = start > 0 && is_blank(text[start - 1]);
        if std::mem::take(&mut after_number) && blank && words::is_size(trimmed) {
            // The number before it stands for both.
            w.from = end;
            continue;
        }
        after_number = seen & (LETTER | DIGIT) == DIGIT && end == word_end;
        if after_method && trimmed.first() == Some(&b'/') {
            route(&mut w, start, end);
            after_method = false;
            continue;
        }
        after_method = first.is_ascii_uppercase() && words::is_method(trimmed);
        if seen == LETTER {
            // The words that vary are short.
            let varies =
                trimmed.len() <= 5 && (words::is_truth(trimmed) || words::is_of_date(trimmed) && starts_date(text, at));
            if varies {
                w.variable(start, end);
            }
        } else if seen & DIGIT == 0 {
            if is_path(trimmed) || seen & DOT != 0 && is_host(trimmed) {
                w.variable(start, end);
            }
        } else {
            with_digits(&mut w, start, end, seen);
        }
    }
    w.keep(text.len());
}

/// The end of `key="value"`, of which this is the place of the `=`; `None` where the value is a message, which has words
/// of its own.
fn quoted_value(text: &[u8], equals: usize) -> Option<usize> {
    let value = text.get(equals + 1..)?.strip_prefix(b"\"")?;
    let key = words::last(&text[..equals]);
    if key.is_empty() || words::is_message_key(key) {
        return None;
    }
    Some(equals + 2 + words::closing_quote(value)? + 1)
}

/// Whether a number, or another word of a date, comes next.
fn starts_date(text: &[u8], at: usize) -> bool {
    let blanks = text[at..].iter().take_while(|b| matches!(**b, b' ' | b',')).count();
    let rest = &text[at + blanks..];
    let next = rest.first().is_some_and(u8::is_ascii_digit);
    blanks > 0 && (next || rest.get(..3).is_some_and(words::is_of_date))
}

/// The end of six or more pairs of hexadecimal digits joined by colons.
fn hardware_address(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    let mut pairs = 0;
    while text.get(at..at + 2)?.iter().all(u8::is_ascii_hexdigit) {
        at += 2;
        pairs += 1;
        if text.get(at) != Some(&b':') {
            return (pairs >= 6).then_some(at);
        }
        at += 1;
    }
    None
}

fn ends_url(byte: u8) -> bool {
    byte <= b' ' || matches!(byte, b'"' | b'\'' | b'<' | b'>' | b')' | b']' | b'}' | b',' | b';')
}

/// A word with digits: a variable, but for one that names something.
fn with_digits(w: &mut Writing<'_, '_>, start: usize, end: usize, seen: u8) {
    let word = &w.text[start..end];
    if seen & LETTER != 0 {
        if is_name(word) && !(seen & DOT != 0 && is_host(word)) {
            return;
        }
        if seen & DOT != 0
            && let Some(dot) = numbered(word)
        {
            w.variable(start + dot + 1, end);
            return;
        }
    }
    w.variable(start, end);
}

/// The dot of a name in letters with a number after it.
fn numbered(word: &[u8]) -> Option<usize> {
    let number = word.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let name = word.get(..word.len().checked_sub(number + 1)?)?;
    let fits = word.get(name.len()) == Some(&b'.') && !name.is_empty() && name.iter().all(u8::is_ascii_alphabetic);
    fits.then_some(name.len())
}

/// One digit, right after a letter, and no path: a name with a digit in it.
fn is_name(word: &[u8]) -> bool {
    let mut digits = word.iter().enumerate().filter(|(_, b)| b.is_ascii_digit());
    let Some((at, _)) = digits.next() else { return false };
    let after_letter = at.checked_sub(1).and_then(|n| word.get(n)).is_some_and(u8::is_ascii_alphabetic);
    after_letter && word.first() != Some(&b'/') && digits.next().is_none()
}

/// An absolute path of two parts or more.
fn is_path(word: &[u8]) -> bool {
    word.first() == Some(&b'/') && word[1..].contains(&b'/')
}

/// Two dots or more, and a domain at the end but not at the start: names of packages have it there.
fn is_host(word: &[u8]) -> bool {
    let Some(last) = word.iter().rposition(|b| *b == b'.') else { return false };
    let Some(first) = word[..last].iter().position(|b| *b == b'.') else { return false };
    DOMAINS.contains(&&word[last + 1..]) && !DOMAINS.contains(&&word[..first])
}

/// The path of a request keeps its words: it names the operation. Parts with digits vary, versions do not.
fn route(w: &mut Writing<'_, '_>, start: usize, end: usize) {
    let mut at = start;
    for part in w.text[start..end].split(|b| *b == b'/') {
        let digits = part.iter().any(u8::is_ascii_digit);
        let version = part.first() == Some(&b'v') && part.get(1).is_some_and(u8::is_ascii_digit);
        if digits && !version && !is_name(part) {
            w.variable(at, at + part.len());
        }
        at += part.len() + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skeletons() {
        let check = |text: &str, expected: &str| {
            let mut out = Vec::new();
            mask(text.as_bytes(), &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected, "{text}");
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
        check("GET /api/v1/users/8812 HTTP/1.1", "GET /api/v1/users/<*>");
        check("GET /api/v1/users/list HTTP/1.1", "GET /api/v1/users/list <*>");
        check("\"POST /cart/items\" 500", "\"POST /cart/items\" <*>");
        check("open /etc/ssl/key.pem: permission denied", "open <*>: permission denied");
        check("no route /healthz.", "no route /healthz.");
        check("Get \"http://db:5432/x?y=1\": EOF", "Get \"http://<*>\": EOF");
        check("lookup cart.shop.svc.cluster.local failed", "lookup <*> failed");
        check("java.lang.NullPointerException at x", "java.lang.NullPointerException at x");
        check("com.shop.io.Reader", "com.shop.io.Reader");
        check("at Fri Jun 17 07:07:00 2005", "at <*>:<*>:<*>");
        check("you May not", "you May not");
        check("size 5.2 KB, free 3 B.", "size <*>, free <*>.");
        check("ready... true", "ready... <*>");
        check("prefetch threshold......0", "prefetch threshold......<*>");
        check("link aa:0b:cc:dd:ee:0f up", "link <*> up");
        check("worker1.eu.shop.com left", "<*> left");
        check("first\nsecond 2", "first");
        check("größe 5 überschritten", "größe <*> überschritten");
        check("from 10.0.0.1 () and (x.eu.shop.com)", "from <*> (<*>) and (<*>)");
        check("delete blk_12 blk_13  blk_14", "delete <*>");
        check(
            "Syncing pod=\"shop/cart-0\" err=\"no \\\"such\\\" pod\" x",
            "Syncing pod=<*> err=\"no \\\"such\\\" pod\" x",
        );
        check("a=\"open", "a=\"open");
        check("", "");
    }
}
