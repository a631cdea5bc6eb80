//! The text of a file as YAML, and what is told where it is none.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Error, Options};

/// What the text says, and what it says twice.
///
/// # Errors
/// That it is no YAML, and where.
pub(super) fn value(text: &str) -> Result<(Value, Option<String>), String> {
    let why = match serde_saphyr::from_str(text) {
        Ok(value) => return Ok((value, None)),
        Err(why) => why,
    };
    let last = Options { duplicate_keys: DuplicateKeyPolicy::LastWins, ..Options::default() };
    match serde_saphyr::from_str_with_options(text, last) {
        Ok(value) => Ok((value, Some(plain(&why)))),
        Err(_) => Err(told(&why)),
    }
}

/// The text as a type.
///
/// # Errors
/// That it is not one, and where.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_saphyr::from_str(text).map_err(|why| plain(&why))
}

/// Without the piece of the file that the parser would show.
fn plain(why: &Error) -> String {
    why.without_snippet().to_string()
}

fn told(why: &Error) -> String {
    let said = plain(why);
    match said.split_once("multiple YAML documents detected") {
        Some((_, rest)) => {
            let at = rest.find(" at line").and_then(|at| rest.get(at..)).unwrap_or_default();
            format!("it holds more than one document, of which one is a configuration: the next begins{at}")
        }
        None => format!("it is not YAML: {said}"),
    }
}
