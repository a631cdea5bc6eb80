//! The queries that the README shows are asked as they stand there.

use std::path::Path;

use whyd_correlate::engine::{Engine, EngineLimits};
use whyd_correlate::tables::tables;
use whyd_signals::Access;

use crate::buffers::scoped;
use crate::cluster;

/// What is written in the section on SQL: whole queries in its blocks, and those that stand in a line.
fn examples(text: &str) -> Vec<String> {
    let section = text.split("\n## ").find_map(|part| part.strip_prefix("SQL\n")).unwrap();
    let mut found = Vec::new();
    for (n, part) in section.split("```").enumerate() {
        if n % 2 == 1 {
            let query = part.split_once("\"query=").unwrap().1;
            found.push(query.rsplit_once('"').unwrap().0.trim().to_owned());
            continue;
        }
        let in_lines = part.split('`').skip(1).step_by(2);
        let is_query = |code: &&str| ["SELECT ", "SHOW ", "DESCRIBE "].iter().any(|first| code.starts_with(first));
        found.extend(in_lines.filter(is_query).map(str::to_owned));
    }
    found
}

#[test]
fn each_query_of_the_readme_is_answered() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let all = examples(&text);
    assert!(all.len() >= 5, "{all:#?}");
    let engine = Engine::new(EngineLimits::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (writer, changes) = (cluster::filled(), cluster::changes());
    for sql in all {
        let tables = tables(&scoped(&writer, &Access::All), changes.clone());
        let answer = runtime.block_on(engine.query(tables, &sql));
        assert!(answer.is_ok(), "{sql}: {answer:?}");
    }
}
