//! The house reads in one direction: which crate may see which, and one version of the types that they hand on,
//! and a map that names what is there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Every crate under the root, and which of the others it may name. What is not listed is forbidden.
const MAY_SEE: [(&str, &[&str]); 7] = [
    ("signals", &[]),
    ("buffers", &["signals"]),
    ("collector", &["signals", "buffers"]),
    ("anomaly", &["signals", "buffers"]),
    ("correlate", &["signals", "buffers"]),
    ("core", &["signals", "buffers", "collector", "anomaly", "correlate"]),
    ("api", &["signals", "buffers", "collector", "anomaly", "correlate"]),
];

#[test]
fn crates_depend_in_one_direction() {
    let all: BTreeSet<String> = MAY_SEE.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(members(&read("Cargo.toml")), all, "a crate of the workspace has no line in MAY_SEE");
    for (name, allowed) in MAY_SEE {
        let seen = ours(&read(&format!("{name}/Cargo.toml")));
        let allowed: BTreeSet<String> = allowed.iter().map(|s| (*s).to_owned()).collect();
        let forbidden: Vec<_> = seen.difference(&allowed).collect();
        assert!(forbidden.is_empty(), "{name} must not depend on {forbidden:?}");
        assert!(seen.len() + 1 < all.len(), "{name} sees every other crate: only the root may");
    }
    assert_eq!(ours(&read("Cargo.toml")), all, "the root wires every crate");
}

#[test]
fn only_the_wiring_names_every_crate() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    assert!(!files.is_empty());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let names_all = MAY_SEE.iter().all(|(name, _)| text.contains(&format!("whyd_{name}")));
        assert!(!names_all || file.ends_with("src/wiring.rs"), "{} names every crate", file.display());
    }
}

#[test]
fn arrow_and_datafusion_have_one_version() {
    let lock = read("Cargo.lock");
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in lock.split("[[package]]").skip(1) {
        versions.entry(field(package, "name")).or_default().push(field(package, "version"));
    }
    for family in ["arrow", "datafusion"] {
        assert_eq!(versions[family].len(), 1, "{family}: {:?}", versions[family]);
        for (name, found) in versions.iter().filter(|(name, _)| name.starts_with(&format!("{family}-"))) {
            assert_eq!(found.len(), 1, "{name}: {found:?}");
        }
    }
}

#[test]
fn the_map_names_files_that_exist() {
    let map = read("ARCHITECTURE.md");
    let files: Vec<&str> = map.split('`').filter(|name| name.ends_with(".rs") && !name.contains(' ')).collect();
    assert!(!files.is_empty());
    let missing: Vec<_> = files.into_iter().filter(|name| !root().join(name).is_file()).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md names files that are not there: {missing:?}");
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The names in `members = [...]`.
fn members(manifest: &str) -> BTreeSet<String> {
    let line = manifest.lines().find(|l| l.starts_with("members = [")).expect("a line of members");
    line.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Our own crates among a manifest's dependencies of any kind.
fn ours(manifest: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut within = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            if let Some((_, name)) = section.split_once("dependencies.whyd-") {
                found.insert(name.trim_end_matches(']').to_owned());
            }
            within = section.ends_with("dependencies]") && !section.starts_with("workspace");
        } else if within && let Some(rest) = line.strip_prefix("whyd-") {
            found.extend(rest.split(['.', '=', ' ']).next().map(str::to_owned));
        }
    }
    found
}

/// The value of `key = "value"` within one package of the lock file.
fn field<'a>(package: &'a str, key: &str) -> &'a str {
    let line = package.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(" = ")).expect("a name and a version");
    line.trim_matches('"')
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}
