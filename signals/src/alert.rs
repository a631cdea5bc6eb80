//! How an alert of ours is known again, by whoever sends and whoever receives.

/// The label that every alert of ours carries. One that comes back to us with it is dropped: it is no news.
pub const MARKER: (&str, &str) = ("source", "whyd");

/// Whether an alert with these labels is one of ours.
pub fn is_ours<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> bool {
    labels.into_iter().any(|label| label == MARKER)
}
