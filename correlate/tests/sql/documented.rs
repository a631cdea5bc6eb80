//! The queries that README.md and the pages below docs/ show are asked as they stand there.

use std::fs;
use std::path::Path;

use whyd_correlate::engine::{Engine, EngineLimits};
use whyd_correlate::tables::tables;
use whyd_signals::Access;

use crate::buffers::scoped;
use crate::cluster;

/// README.md and the pages for users, each with its name.
fn pages() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let below = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = below.filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
    files.push(root.join("README.md"));
    files.sort();
    let page = |path: std::path::PathBuf| (path.display().to_string(), fs::read_to_string(&path).unwrap());
    files.into_iter().map(page).collect()
}

/// What a page shows: whole queries in its blocks, by themselves or as curl sends them, and those that stand in a line.
fn examples(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (n, part) in text.split("```").enumerate() {
        if n % 2 == 1 {
            let sent =
                part.split_once("\"query=").and_then(|(_, query)| query.rsplit_once('"')).map(|(query, _)| query);
            found.extend(part.strip_prefix("sql\n").or(sent).map(|query| query.trim().to_owned()));
            continue;
        }
        let in_lines = part.split('`').skip(1).step_by(2);
        let is_query = |code: &&str| ["SELECT ", "SHOW ", "DESCRIBE "].iter().any(|first| code.starts_with(first));
        found.extend(in_lines.filter(is_query).map(str::to_owned));
    }
    found
}

#[test]
fn each_query_of_the_pages_is_answered() {
    let pages = pages();
    let all: Vec<_> =
        pages.iter().flat_map(|(page, text)| examples(text).into_iter().map(move |sql| (page, sql))).collect();
    assert!(all.len() >= 10, "{all:#?}");
    let engine = Engine::new(EngineLimits::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (writer, changes) = (cluster::filled(), cluster::changes());
    for (page, sql) in all {
        let tables = tables(&scoped(&writer, &Access::All), changes.clone());
        let answer = runtime.block_on(engine.query(tables, &sql));
        assert!(answer.is_ok(), "{page}: {sql}: {answer:?}");
    }
}
