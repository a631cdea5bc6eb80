//! The page itself: colours, columns, line breaks, times, and what is taken out of hostile text.

use whyd_signals::Timestamp;

/// How to print.
#[derive(Debug, Clone, Copy)]
pub struct Style<'a> {
    /// Whether to colour: only on a terminal, and not when the user asks not to.
    pub colour: bool,
    /// Columns; longer lines are broken or cut.
    pub width: usize,
    /// The address of the daemon that is to be asked on, where it is not the usual one.
    pub server: Option<&'a str>,
}

impl Style<'_> {
    /// Plain text of 110 columns.
    pub const PLAIN: Self = Self { colour: false, width: 110, server: None };

    pub(super) fn paint(self, ink: Ink, text: &str) -> String {
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        let code = match ink {
            Ink::Bold => "1",
            Ink::Dim => "2",
            Ink::Red => "31",
            Ink::Yellow => "33",
            Ink::Cyan => "36",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    Bold,
    Dim,
    Red,
    Yellow,
    Cyan,
}

/// Takes out what a terminal would obey and what hides text: escape sequences, control and bidirectional characters,
/// and characters without width. Line breaks and tabs become spaces.
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => out.push(' '),
            '\u{1b}' => match rest.next_if(|c| !c.is_control()) {
                Some('[') => sequence(&mut rest),
                Some(']' | 'P' | '^' | '_' | 'X') => command(&mut rest),
                Some(' '..='/') => {
                    rest.next();
                }
                _ => {}
            },
            '\u{9b}' => sequence(&mut rest),
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => command(&mut rest),
            c if c.is_control() || hides(c) => {}
            c => out.push(c),
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// Skips a control sequence up to the letter that ends it.
fn sequence(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while rest.next_if(|c| matches!(c, ' '..='?')).is_some() {}
    rest.next_if(|c| matches!(c, '@'..='~'));
}

/// Skips a command string up to its terminator. One that has none hides all that follows, as it would on a terminal.
fn command(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while let Some(c) = rest.next() {
        if matches!(c, '\u{7}' | '\u{9c}') || c == '\u{1b}' && rest.next_if_eq(&'\\').is_some() {
            return;
        }
    }
}

fn hides(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' | '\u{e0100}'..='\u{e01ef}')
}

/// `2026-01-31`.
pub(super) fn date(at: Timestamp) -> String {
    at.to_string().split('T').next().unwrap_or_default().to_owned()
}

/// `13:37:58`.
pub(super) fn clock(at: Timestamp) -> String {
    let text = at.to_string();
    text.split('T').nth(1).and_then(|t| t.split('.').next()).unwrap_or_default().to_owned()
}

/// `2026-01-31 13:37:58`.
pub(super) fn day_and_clock(at: Timestamp) -> String {
    format!("{} {}", date(at), clock(at))
}

/// A length of time in the two units that matter.
pub(super) fn span(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        3600..86_400 => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3600),
    }
}

const LABEL: usize = 10;
/// A log line may be a whole stack: this much of it is enough to know it again.
const LONGEST: usize = 400;

/// Lines, as they are written.
pub(super) struct Page<'a> {
    pub(super) style: Style<'a>,
    out: String,
}

impl<'a> Page<'a> {
    pub(super) fn new(style: Style<'a>) -> Self {
        Self { style, out: String::new() }
    }

    /// The text without an end of line at its end.
    pub(super) fn finish(mut self) -> String {
        self.out.truncate(self.out.trim_end().len());
        self.out
    }

    /// An empty line between two verdicts.
    pub(super) fn gap(&mut self) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
    }

    fn line(&mut self, line: &str) {
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    /// The verdict, alone and whole.
    pub(super) fn headline(&mut self, text: &str) {
        let text = clean(text);
        for line in wrapped(&text, self.style.width) {
            let line = self.style.paint(Ink::Bold, &line);
            self.line(&line);
        }
    }

    pub(super) fn field(&mut self, label: &str, text: &str) {
        self.labelled(label, text, None);
    }

    pub(super) fn strong_field(&mut self, label: &str, text: &str) {
        self.labelled(label, text, Some(Ink::Red));
    }

    fn labelled(&mut self, label: &str, text: &str, ink: Option<Ink>) {
        let text = clean(text);
        for (n, line) in wrapped(&text, self.style.width.saturating_sub(LABEL + 3)).into_iter().enumerate() {
            let label = format!("{:<LABEL$}", if n == 0 { label } else { "" });
            let line = ink.map_or_else(|| line.clone(), |ink| self.style.paint(ink, &line));
            let line = format!("  {} {line}", self.style.paint(Ink::Dim, &label));
            self.line(&line);
        }
    }

    pub(super) fn section(&mut self, label: &str) {
        let line = format!("  {}", self.style.paint(Ink::Dim, label));
        self.line(&line);
    }

    /// A line of a section: leading columns, the text, and in brackets where it was found.
    pub(super) fn item(&mut self, columns: &[&str], text: &str, found: &str) {
        let mut head = String::from("    ");
        let widths: &[usize] = if columns.len() > 1 { &[8, 8] } else { &[19] };
        for (column, width) in columns.iter().zip(widths) {
            head.push_str(&format!("{:<width$}  ", clean(column)));
        }
        let indent = head.chars().count();
        let (text, found) = (clean(text), clean(found));
        let cut: String = text.chars().take(LONGEST).collect();
        let cut = if cut.len() < text.len() { format!("{cut}...") } else { cut };
        let whole = if found.is_empty() { cut.clone() } else { format!("{cut}  [{found}]") };
        let lines = wrapped(&whole, self.style.width.saturating_sub(indent).max(30));
        for (n, line) in lines.into_iter().enumerate() {
            let lead = if n == 0 { self.style.paint(Ink::Cyan, &head) } else { " ".repeat(indent) };
            self.line(&format!("{lead}{line}"));
        }
    }

    /// Lines that are laid out already.
    pub(super) fn block(&mut self, lines: &str) {
        for line in lines.lines() {
            self.line(&format!("    {line}"));
        }
    }
}

/// Breaks at spaces, and within a word only where it is longer than a line.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(20);
    let mut lines = Vec::new();
    let (mut line, mut length) = (String::new(), 0);
    for word in text.split_inclusive(' ') {
        let mut word: Vec<char> = word.chars().collect();
        let visible = word.len() - usize::from(word.last() == Some(&' '));
        if length > 0 && length + visible > width {
            lines.push(std::mem::take(&mut line));
            length = 0;
        }
        while word.len() > width + 1 {
            lines.push(word.drain(..width).collect());
        }
        length += word.len();
        line.extend(word);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}
