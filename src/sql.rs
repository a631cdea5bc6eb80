//! SQL as the API asks for it: the engine over what its caller may see at that instant.

use std::sync::Arc;
use std::time::Duration;

use whyd_api::dto::SqlColumn;
use whyd_api::{Sql, SqlAnswering, SqlHeld, SqlRefusal, SqlRows};
use whyd_buffers::Scoped;
use whyd_collector::Clock;
use whyd_correlate::changes;
use whyd_correlate::engine::{Engine, EngineLimits, QueryError, Tables, sql_type};
use whyd_correlate::tables::tables_at;
use whyd_signals::schema::Change;
use whyd_signals::{Access, Timestamp};

use crate::config::Config;
use crate::view::View;

/// Bytes of an answer's rows.
const MOST: usize = 30 << 20;
/// How long a query may run; with its time of waiting less than the listener gives a request.
const LONGEST: Duration = Duration::from_secs(15);

/// The engine, and what it reads.
pub struct Queries {
    engine: Arc<Engine>,
    view: Arc<View>,
    clock: Clock,
}

impl Queries {
    /// Over this view; all queries together may take a sixteenth of the memory.
    ///
    /// # Errors
    /// When the engine's threads cannot be started.
    pub fn new(config: &Config, view: Arc<View>, clock: Clock) -> Result<Self, QueryError> {
        let limits = EngineLimits { memory_bytes: config.memory / 16, timeout: LONGEST, ..EngineLimits::default() };
        Ok(Self { engine: Arc::new(Engine::new(limits)?), view, clock })
    }
}

/// What a caller may see, as tables.
fn tables_of(scoped: &Scoped, query: &str, now: Timestamp) -> Tables {
    // They are derived from all objects, for a query that names them and no other.
    let changes: Vec<Change> = match query.to_ascii_lowercase().contains("changes") {
        true => {
            let of_namespaces = scoped.cluster().namespaces().flat_map(changes::of_namespace);
            of_namespaces.chain(scoped.cluster().nodes().flat_map(changes::of_node)).collect()
        }
        false => Vec::new(),
    };
    tables_at(scoped, changes, now)
}

impl Sql for Queries {
    fn answer(&self, access: &Access, query: String, held: SqlHeld) -> SqlAnswering {
        let (engine, scoped, now) = (Arc::clone(&self.engine), self.view.scoped(access), (self.clock)());
        Box::pin(async move {
            let asked = query.clone();
            let answer = engine.query_json(move || tables_of(&scoped, &asked, now), query, MOST, held).await;
            let answer = answer.map_err(|why| refusal(&why))?;
            let column =
                |f: &arrow::datatypes::FieldRef| SqlColumn { name: f.name().clone(), kind: sql_type(f.data_type()) };
            Ok(SqlRows { columns: answer.schema.fields().iter().map(column).collect(), rows: answer.rows })
        })
    }
}

fn refusal(why: &QueryError) -> SqlRefusal {
    let text = why.to_string();
    match why {
        QueryError::Refused(_) | QueryError::Invalid(_) => SqlRefusal::Invalid(text),
        QueryError::TooManyRows { .. }
        | QueryError::TooLong { .. }
        | QueryError::Memory { .. }
        | QueryError::Timeout(_) => SqlRefusal::Limit(text),
        QueryError::Failed(_) => SqlRefusal::Failed(text),
    }
}
