//! The request that a line of a log is of, by the id of the trace that it names.

/// How many digits an id has.
const DIGITS: std::ops::RangeInclusive<usize> = 16..=32;

/// The id of the trace that a line names, in hexadecimal digits: `TraceID: 4bf9...`, `trace_id=4bf9...`, `"traceId":"4bf9..."`.
/// One of nothing but zeros says that there is none.
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
    let after = rest.get(key..)?;
    let gap = after.iter().take(4).take_while(|c| matches!(c, b':' | b'=' | b' ' | b'"' | b'\'')).count();
    let id = after.get(gap..)?;
    let digits = id.iter().take_while(|c| c.is_ascii_hexdigit()).count();
    let is_one = key >= 2 && gap > 0 && DIGITS.contains(&digits) && id.iter().take(digits).any(|c| *c != b'0');
    let from = from + key + gap;
    if is_one { line.get(from..from + digits) } else { None }
}

/// The request of a line as a number, which is never 0; `None` where it names none. FNV-1a of the id.
pub fn of(line: &str) -> Option<u64> {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    Some(id_of(line)?.bytes().fold(0xcbf2_9ce4_8422_2325, step).max(1))
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
        ] {
            assert_eq!(id_of(&line), Some(id), "{line}");
            assert_eq!(of(&line), of(&format!("traceid={id}")), "{line}");
        }
    }

    #[test]
    fn what_is_no_id_is_none() {
        let none =
            ["stack trace: abc", "é trace", "race", "c", "", "trace_id=", "trace_id=0123456789abcde", "traceéid=1"];
        for line in none.into_iter().chain(["trace_id=00000000000000000000000000000000 done"]) {
            assert_eq!((id_of(line), of(line)), (None, None), "{line}");
        }
    }
}
