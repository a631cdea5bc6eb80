//! The bytes and words that a skeleton is made of.

/// A letter, or any byte of a character beyond ASCII.
pub(super) const LETTER: u8 = 1;
/// A digit.
pub(super) const DIGIT: u8 = 2;
/// Stands inside words: `_ - . / @ $ ~ + * \`.
pub(super) const JOIN: u8 = 4;
/// The dot, which is a [`JOIN`] too.
pub(super) const DOT: u8 = 8;
/// Stands alone.
pub(super) const SPLIT: u8 = 16;
/// A blank.
pub(super) const BLANK: u8 = 32;

/// What each byte is, as bits.
const CLASS: [u8; 256] = {
    let mut class = [LETTER; 256];
    let mut byte = 0;
    while byte < 128 {
        class[byte] = match byte as u8 {
            b'0'..=b'9' => DIGIT,
            b'a'..=b'z' | b'A'..=b'Z' => LETTER,
            b'.' => JOIN | DOT,
            b'_' | b'-' | b'/' | b'@' | b'$' | b'~' | b'+' | b'*' | b'\\' => JOIN,
            0..=32 | 127 => BLANK,
            _ => SPLIT,
        };
        byte += 1;
    }
    class
};

/// What this byte is.
#[inline]
pub(super) fn class(byte: u8) -> u8 {
    CLASS[usize::from(byte)]
}

/// Whether a byte may stand in a word.
#[inline]
pub(super) fn is_of_word(byte: u8) -> bool {
    class(byte) & (SPLIT | BLANK) == 0
}

/// Whether a byte is a blank.
#[inline]
pub(super) fn is_blank(byte: u8) -> bool {
    class(byte) == BLANK
}

/// How many blanks a text begins with.
#[inline]
pub(super) fn blanks(text: &[u8]) -> usize {
    text.iter().take_while(|b| is_blank(**b)).count()
}

/// The end of the word that begins here, and the classes in it. A row of dots after it is a leader and not part of it.
#[inline]
pub(super) fn take(text: &[u8], start: usize) -> (usize, u8) {
    let rest = text.get(start..).unwrap_or_default();
    let mut seen = 0;
    let mut len = rest.len();
    for (n, byte) in rest.iter().enumerate() {
        let class = class(*byte);
        if class & (SPLIT | BLANK) != 0 {
            len = n;
            break;
        }
        seen |= class;
    }
    if seen & DOT != 0
        && let Some(row) = rest[..len].windows(2).skip(1).position(|pair| pair == b"..")
    {
        len = row + 1;
        seen = rest[..len].iter().fold(0, |seen, byte| seen | class(*byte));
    }
    (start + len, seen)
}

/// The name at the end of this text, of letters, digits, `_`, `-` and `.`; it may be empty.
pub(super) fn last(text: &[u8]) -> &[u8] {
    let len = text.iter().rev().take_while(|b| is_of_name(**b)).count();
    &text[text.len() - len..]
}

/// Whether a byte may stand in the name of a field.
pub(super) fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'@')
}

/// How far the quote is that ends this text; one behind a backslash does not.
pub(super) fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text.get(at) == Some(&b'"') {
            return Some(at);
        }
        at += 2;
    }
}

/// Fields whose value is what the program says.
pub(super) fn is_message_key(key: &[u8]) -> bool {
    matches!(
        key,
        b"msg"
            | b"message"
            | b"MESSAGE"
            | b"@message"
            | b"Message"
            | b"log"
            | b"event"
            | b"body"
            | b"text"
            | b"err"
            | b"error"
            | b"exception"
            | b"reason"
            | b"@m"
            | b"@mt"
            | b"short_message"
    )
}

/// Fields whose value is one of few and tells kinds of lines apart.
pub(super) fn is_kind_key(key: &[u8]) -> bool {
    matches!(
        key,
        b"level"
            | b"lvl"
            | b"severity"
            | b"levelname"
            | b"loglevel"
            | b"log.level"
            | b"@l"
            | b"logger"
            | b"logger_name"
            | b"log.logger"
            | b"component"
            | b"controller"
            | b"subsystem"
    )
}

/// Names of levels: lines that differ in them differ in kind.
pub(super) fn is_level(word: &[u8]) -> bool {
    const NAMES: [&[u8]; 16] = [
        b"trace",
        b"debug",
        b"info",
        b"notice",
        b"warn",
        b"warning",
        b"error",
        b"err",
        b"severe",
        b"critical",
        b"crit",
        b"alert",
        b"emerg",
        b"fatal",
        b"panic",
        b"log",
    ];
    (3..=8).contains(&word.len()) && NAMES.iter().any(|name| name.eq_ignore_ascii_case(word))
}

/// A method of HTTP.
#[inline]
pub(super) fn is_method(word: &[u8]) -> bool {
    matches!(word, b"GET" | b"POST" | b"PUT" | b"DELETE" | b"PATCH" | b"HEAD" | b"OPTIONS")
}

/// A unit of size, which varies with the number before it.
#[inline]
pub(super) fn is_size(word: &[u8]) -> bool {
    matches!(word, b"B" | b"KB" | b"MB" | b"GB" | b"TB" | b"kB" | b"KiB" | b"MiB" | b"GiB" | b"TiB")
}

/// A truth value.
#[inline]
pub(super) fn is_truth(word: &[u8]) -> bool {
    matches!(word, b"true" | b"false" | b"True" | b"False")
}

/// A day of the week or a month, as a date has it.
#[inline]
pub(super) fn is_of_date(word: &[u8]) -> bool {
    matches!(
        word,
        b"Mon"
            | b"Tue"
            | b"Wed"
            | b"Thu"
            | b"Fri"
            | b"Sat"
            | b"Sun"
            | b"Jan"
            | b"Feb"
            | b"Mar"
            | b"Apr"
            | b"May"
            | b"Jun"
            | b"Jul"
            | b"Aug"
            | b"Sep"
            | b"Oct"
            | b"Nov"
            | b"Dec"
    )
}
