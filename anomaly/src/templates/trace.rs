//! Frames of stack traces: each kind has one template, whatever it names, so that a trace of any depth and program adds
//! none. The exception above them is a line like others.

use super::words;

/// The template of a frame; `indented` says whether blanks were before it.
pub(super) fn frame(text: &[u8], indented: bool) -> Option<&'static [u8]> {
    match text.first()? {
        // Java, Kotlin, .NET, JavaScript
        b'a' if indented && text.starts_with(b"at ") && is_called(&text[3..]) => Some(b"at <*>"),
        // Python
        b'F' if indented && text.starts_with(b"File \"") => {
            let rest = &text[6..];
            let rest = &rest[words::closing_quote(rest)?..];
            rest.starts_with(b"\", line ").then_some(b"File <*>, line <*>, in <*>")
        }
        // Ruby; then C, C++ and PHP
        b'f' if indented && text.starts_with(b"from ") && has_place(text) => Some(b"from <*>"),
        b'#' if is_numbered(&text[1..]) => Some(b"#<*>"),
        // Go: where the call stands, then the call
        b'/' if indented && has_place(text) => Some(b"<*>:<*>"),
        _ if !indented && is_go_call(text) => Some(b"<*>(...)"),
        _ => None,
    }
}

/// `a.b.C.d(D.java:12)`, `async f (file.js:1:2)`, `file.js:1:2`, `A.B() in x.cs:line 1`.
fn is_called(text: &[u8]) -> bool {
    text.contains(&b'(') || has_place(text)
}

/// A file with a line number: `x.go:12`.
fn has_place(text: &[u8]) -> bool {
    memchr::memchr_iter(b':', text).any(|at| text.get(at + 1).is_some_and(u8::is_ascii_digit) && at > 0)
}

/// `0  0x7f in f () at x.c:1`, `1 /srv/x.php(12): f()`, behind its `#`.
fn is_numbered(text: &[u8]) -> bool {
    let number = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let rest = text[number..].trim_ascii_start();
    number > 0 && (rest.starts_with(b"0x") || rest.first() == Some(&b'/'))
}

/// `main.(*T).run(0xc000, 0x1)`, `net/http.HandlerFunc(...)`: a call of a package with arguments as numbers.
fn is_go_call(text: &[u8]) -> bool {
    let Some(open) = memchr::memrchr(b'(', text) else { return false };
    let arguments = &text[open + 1..];
    let called = &text[..open];
    let shown = arguments.starts_with(b"0x") || arguments.starts_with(b"{0x") || arguments.starts_with(b"...");
    shown && text.ends_with(b")") && called.contains(&b'.') && !called.iter().any(u8::is_ascii_whitespace)
}
