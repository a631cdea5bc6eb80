//! Where the next page starts: the place of the last row, opaque to the client.
//!
//! A place is a key of the order, not a number of rows, so rows that arrive meanwhile neither repeat nor hide others.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The default of `limit`.
pub(crate) const DEFAULT_LIMIT: usize = 100;
/// The most that `limit` may be.
pub(crate) const MAX_LIMIT: usize = 1000;

/// A place as lower-case hex of its JSON: safe in a query as it is.
pub(crate) fn encode<K: Serialize>(place: &K) -> Option<String> {
    let json = serde_json::to_vec(place).ok()?;
    Some(json.iter().map(|b| format!("{b:02x}")).collect())
}

/// The place that [`encode`] was given; `None` for anything else.
pub(crate) fn decode<K: DeserializeOwned>(text: &str) -> Option<K> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    let bytes: Option<Vec<u8>> =
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok()).collect();
    serde_json::from_slice(&bytes?).ok()
}

/// One page of `rows`, which are sorted by `place`: those after `after`, and the cursor of the next page if more follow.
pub(crate) fn page<'a, T, K>(
    rows: &'a [T],
    after: Option<&K>,
    limit: usize,
    place: impl Fn(&'a T) -> K,
) -> (&'a [T], Option<String>)
where
    K: Ord + Serialize,
{
    let start = after.map_or(0, |after| rows.iter().position(|row| place(row) > *after).unwrap_or(rows.len()));
    let end = rows.len().min(start + limit);
    let page = &rows[start..end];
    let next = if end < rows.len() { page.last().and_then(|row| encode(&place(row))) } else { None };
    (page, next)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn pages_cover_all_rows_once() {
        let rows = [1, 2, 3, 5, 8];
        let (first, next) = page(&rows, None, 2, |r| *r);
        assert_eq!(first, [1, 2]);
        let after: i32 = decode(&next.unwrap()).unwrap();
        let (rest, next) = page(&rows, Some(&after), 3, |r| *r);
        assert_eq!((rest, next), (&rows[2..], None));
    }

    #[test]
    fn foreign_text_is_no_cursor() {
        for text in ["", "0", "zz", "é1", "+1", "7b"] {
            assert_eq!(decode::<i32>(text), None, "{text}");
        }
    }
}
