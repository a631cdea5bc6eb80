//! What could have been meant by a name that nothing has.

use std::cmp::Reverse;

/// How many names an error suggests.
const NEARBY: usize = 5;

/// The names most like the one that was asked for: the same one elsewhere, those that hold it, then those that begin alike. Each has
/// its namespace before it, if it has one, and is a name or `Kind/name`.
pub(super) fn nearby<'a>(
    names: impl IntoIterator<Item = (&'a str, &'a str)>,
    asked: &str,
    namespace: Option<&str>,
) -> Vec<String> {
    let bare = |name: &'a str| name.rsplit('/').next().unwrap_or(name);
    // Of `Deployment/web` the name may be right and the kind not.
    let asked = asked.rsplit('/').next().unwrap_or(asked).to_lowercase();
    let mut scored: Vec<_> = names
        .into_iter()
        .filter_map(|(space, full)| {
            let name = bare(full);
            let alike = name.bytes().zip(asked.bytes()).take_while(|(a, b)| a == b).count();
            let holds = name.contains(&asked);
            let close = holds || alike >= 3;
            let here = namespace == Some(space);
            close.then_some((Reverse((name == asked, holds, alike, here)), space, full))
        })
        .collect();
    scored.sort();
    let shown = |space: &str, full: &str| if space.is_empty() { full.to_owned() } else { format!("{space}/{full}") };
    scored.into_iter().take(NEARBY).map(|(_, space, full)| shown(space, full)).collect()
}
