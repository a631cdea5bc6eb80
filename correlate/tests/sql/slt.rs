//! Runs `fixtures/slt/*.slt` against the engine. A query is asked as the platform's admin, or, where its first line
//! is `-- as: TEAM`, as that team (`-- as: nobody` is a caller without any).

use std::collections::BTreeSet;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use sqllogictest::{DBOutput, DefaultColumnType, Runner};
use whyd_buffers::Writer;
use whyd_correlate::engine::{Engine, EngineLimits, QueryError};
use whyd_correlate::tables::tables;
use whyd_signals::Access;

use crate::buffers::scoped;
use crate::cluster;

struct Asked {
    engine: Engine,
    writer: Writer,
    runtime: tokio::runtime::Runtime,
}

impl Asked {
    fn new() -> Self {
        Self {
            engine: Engine::new(EngineLimits { max_rows: 1_000, ..EngineLimits::default() }).unwrap(),
            writer: cluster::filled(),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
        }
    }
}

fn access(sql: &str) -> Access {
    match sql.lines().next().and_then(|l| l.strip_prefix("-- as: ")) {
        None => Access::All,
        Some("nobody") => Access::Teams(BTreeSet::new()),
        Some(team) => Access::team(team),
    }
}

fn column_type(of: &DataType) -> DefaultColumnType {
    match of {
        of if of.is_integer() => DefaultColumnType::Integer,
        of if of.is_floating() => DefaultColumnType::FloatingPoint,
        _ => DefaultColumnType::Text,
    }
}

fn cells(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<_> = batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options).unwrap()).collect();
    let row = |i| columns.iter().map(|c| c.value(i).to_string()).collect();
    (0..batch.num_rows()).map(row).collect()
}

impl sqllogictest::DB for Asked {
    type Error = QueryError;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, QueryError> {
        let tables = tables(&scoped(&self.writer, &access(sql)), cluster::changes());
        let batches = self.runtime.block_on(self.engine.query(tables, sql))?;
        let types = batches[0].schema().fields().iter().map(|f| column_type(f.data_type())).collect();
        Ok(DBOutput::Rows { types, rows: batches.iter().flat_map(cells).collect() })
    }

    fn engine_name(&self) -> &str {
        "whyd"
    }
}

#[test]
fn every_slt_file_holds() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/slt");
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|f| f.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "slt"));
    files.sort();
    assert!(files.len() >= 10, "{files:?}");
    let mut wrong = Vec::new();
    for file in files {
        let mut runner = Runner::new(|| async { Ok(Asked::new()) });
        runner.with_column_validator(sqllogictest::strict_column_validator);
        if let Err(e) = runner.run_file(&file) {
            wrong.push(e.to_string());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
