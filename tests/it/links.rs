//! What the pages say of each other: every relative link and anchor in a Markdown file leads somewhere, and every page for users
//! is found from README.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn links_and_anchors_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = Vec::new();
    markdown(root, &mut pages);
    let (mut broken, mut followed) = (Vec::new(), 0);
    for page in &pages {
        for link in links(&fs::read_to_string(page).unwrap()) {
            followed += 1;
            if let Some(why) = wrong(page, &link) {
                broken.push(format!("{}: ({link}): {why}", page.strip_prefix(root).unwrap().display()));
            }
        }
    }
    assert!(followed > 50, "only {followed} links were found in {} pages", pages.len());
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
}

#[test]
fn each_page_for_users_is_found_from_the_readme() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let linked: BTreeSet<String> = links(&fs::read_to_string(root.join("README.md")).unwrap())
        .into_iter()
        .map(|link| link.split('#').next().unwrap_or_default().to_owned())
        .collect();
    let pages = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let pages: Vec<String> =
        pages.map(|name| name.to_str().unwrap().to_owned()).filter(|n| n.ends_with(".md")).collect();
    assert!(!pages.is_empty());
    let missing: Vec<_> = pages.iter().filter(|name| !linked.contains(&format!("docs/{name}"))).collect();
    assert!(missing.is_empty(), "README.md has no link to these pages below docs/: {missing:?}");
}

/// Every Markdown file below a folder, but for what is built and what is hidden.
fn markdown(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            markdown(&path, into);
        } else if path.extension().is_some_and(|e| e == "md") {
            into.push(path);
        }
    }
}

/// The lines that are text: those of blocks of code hold no links and no headings.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// A text without the code in its lines.
fn without_code(text: &str) -> String {
    text.split('`').step_by(2).collect()
}

/// Where the links lead that do not leave the tree.
fn links(text: &str) -> Vec<String> {
    // One may begin on one line and end on the next.
    let whole = prose(text).collect::<Vec<_>>().join("\n");
    assert!(whole.matches('`').count().is_multiple_of(2), "a code span of this page does not end:\n{whole}");
    let whole = without_code(&whole);
    let targets = whole.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target.trim()));
    targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:")).map(str::to_owned).collect()
}

/// Why a link of a page leads nowhere; `None` where it leads somewhere.
fn wrong(page: &Path, link: &str) -> Option<String> {
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let target = if file.is_empty() { page.to_owned() } else { page.parent()?.join(file) };
    if !target.exists() {
        return Some("nothing is there".to_owned());
    }
    let anchor = anchor?;
    if target.extension().is_none_or(|e| e != "md") {
        return Some("only Markdown has anchors".to_owned());
    }
    let known = anchors(&fs::read_to_string(&target).unwrap());
    (!known.contains(anchor)).then(|| format!("no heading is called so, but {known:?}"))
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    let headings = prose(text).filter_map(|line| {
        let title = line.trim_start_matches('#');
        title.strip_prefix(' ').filter(|_| title.len() < line.len())
    });
    let mut all = BTreeSet::new();
    for title in headings {
        let kept = title.trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let name: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let before = times.entry(name.clone()).or_default();
        all.insert(if *before == 0 { name } else { format!("{name}-{before}") });
        *before += 1;
    }
    all
}

#[test]
fn what_leads_nowhere_is_seen() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    assert_eq!(wrong(&page, "README.md#whyd"), None);
    for link in ["docs/nothing.md", "README.md#nothing", "#nothing", "LICENSE#whyd"] {
        assert!(wrong(&page, link).is_some(), "{link}");
    }
    let text = "# A `b`, c: d\n[x](one.md) `[no](code.md)` [y\nz](two.md#a) [w](https://example.org)\n```\n# no\n[n](o.md)\n```\n## A\n## A\n";
    assert_eq!(links(text), ["one.md", "two.md#a"]);
    assert_eq!(anchors(text), BTreeSet::from(["a-b-c-d", "a", "a-1"].map(str::to_owned)));
}
