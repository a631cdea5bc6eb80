//! The request that a line of a log is of, by the id of the trace that it names.

/// How many digits an id has.
const DIGITS: std::ops::RangeInclusive<usize> = 16..=32;
/// An id of so many digits and one that has them at its end are the same: the first was made longer for others' sake.
const SHORT: usize = 16;
/// What stands between the name and the id at the most, such as `\\\": \\\"`.
const GAP: usize = 12;
/// What the name of the header of the W3C ends with, and its version with the dash after it.
const PARENT: &[u8] = b"parent";
const VERSION: usize = 3;

/// The id of the trace that a line names, in hexadecimal digits: `TraceID: 4bf9...`, `trace_id=4bf9...`, `"traceId":"4bf9..."`,
/// `traceparent=00-4bf9...-00f0...-01`. One of nothing but zeros says that there is none.
pub fn id_of(line: &str) -> Option<&str> {
    let bytes = line.as_bytes();
    // Of "race" the rarest letter is looked for.
    memchr::memchr2_iter(b'c', b'C', bytes).find_map(|at| {
        let before = bytes.get(at.checked_sub(2)?..at)?;
        let last = bytes.get(at + 1)?;
        let is_race = matches!((before, last), (b"ra", b'e') | (b"RA", b'E'));
        if is_race { id_after(line, at + 2) } else { None }
    })
}

/// The id whose name goes on at this place.
fn id_after(line: &str, from: usize) -> Option<&str> {
    let rest = line.as_bytes().get(from..)?;
    let key = rest.iter().take(3).take_while(|c| matches!(c, b'_' | b'-' | b'.' | b'i' | b'I' | b'd' | b'D')).count();
    let is_parent = key == 0 && rest.get(..PARENT.len()).is_some_and(|name| name.eq_ignore_ascii_case(PARENT));
    let key = if is_parent { PARENT.len() } else { key };
    let after = rest.get(key..)?;
    let is_gap = |c: &&u8| matches!(c, b':' | b'=' | b' ' | b'"' | b'\'' | b'\\');
    let gap = after.iter().take(GAP).take_while(is_gap).count();
    let begins = key + gap + if is_parent { VERSION } else { 0 };
    let id = rest.get(begins..)?;
    let digits = id.iter().take(*DIGITS.end() + 1).take_while(|c| c.is_ascii_hexdigit()).count();
    let is_one = key >= 2 && gap > 0 && DIGITS.contains(&digits) && id.iter().take(digits).any(|c| *c != b'0');
    if is_one { line.get(from + begins..from + begins + digits) } else { None }
}

/// The request of a line as a number, which is never 0; `None` where it names none. However its id is written it is the same.
pub fn of(line: &str) -> Option<u64> {
    let id = id_of(line)?;
    let number = |digits: &str| u64::from_str_radix(digits, 16).ok().filter(|number| *number > 0);
    // The last digits are random, and the first need not be there.
    number(id.get(id.len().checked_sub(SHORT)?..)?).or_else(|| number(id.get(..SHORT)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_request_is_named_in_many_ways() {
        let id = "88ebfbcebbbc0884eabd9178e1808940";
        for line in [
            format!("INFO TraceID: {id} SpanID: 1 [x]"),
            format!("trace_id={id} done"),
            format!("{{\"traceId\":\"{id}\"}}"),
            format!("tracing on, trace-id {id}"),
            format!("a race of races, TRACE_ID={id}"),
            format!("trace {id} trace.id=\"{id}\""),
            format!("{{ \"traceId\" : \"{id}\" }}"),
            format!(r#"{{"log":"{{\"msg\":\"in\",\"trace_id\":\"{id}\"}}"}}"#),
            format!(r#"{{"log":"{{\\\"trace_id\\\": \\\"{id}\\\"}}"}}"#),
            format!("in traceparent=00-{id}-00f067aa0ba902b7-01"),
            format!("{{\"Traceparent\": \"00-{id}-00f067aa0ba902b7-01\"}}"),
        ] {
            assert_eq!(id_of(&line), Some(id), "{line}");
            assert_eq!(of(&line), of(&format!("traceid={id}")), "{line}");
        }
    }

    #[test]
    fn one_request_is_one_however_its_id_is_written() {
        let number = of("trace_id=88ebfbcebbbc0884eabd9178e1808940");
        assert_eq!(number, Some(0xeabd_9178_e180_8940));
        for id in ["88EBFBCEBBBC0884EABD9178E1808940", "eabd9178e1808940", "0000000000000000eabd9178e1808940"] {
            assert_eq!(of(&format!("TraceID: {id} done")), number, "{id}");
        }
        assert_ne!(of("trace_id=88ebfbcebbbc0884eabd9178e1808941"), number);
        // The other half is random.
        assert_eq!(of("trace_id=eabd91780000000000000000"), Some(0xeabd_9178_0000_0000));
    }

    #[test]
    fn what_is_no_id_is_none() {
        let none =
            ["stack trace: abc", "é trace", "race", "c", "", "trace_id=", "trace_id=0123456789abcde", "traceéid=1"];
        let none = none.into_iter().chain(["traceparent=00", "traceparenté=00-1", "traceparent 0é-88ebfbcebbbc0884"]);
        let long = format!("trace_id={}", "1".repeat(33));
        for line in none.chain(["trace_id=00000000000000000000000000000000 done", &long]) {
            assert_eq!((id_of(line), of(line)), (None, None), "{line}");
        }
    }
}
