//! SQL over tables that a caller hands in: bounded, read-only, and knowing nothing of pods or metrics.
//!
//! DataFusion is no authorization boundary. Each query gets a session of its own whose catalog holds the given
//! tables and nothing else, so what a caller may not see is not there to be named.

mod arrows;
mod deadline;
mod described;
mod dialect;
mod functions;
mod gate;
mod held;
mod in_turn;
mod json;
mod likes;
mod names;
mod rewrite;
mod rules;
#[cfg(test)]
mod tests;
mod words;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, GreedyMemoryPool, MemoryPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::ScalarUDF;
use datafusion::physical_plan::{SendableRecordBatchStream, execute_stream};
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use futures::StreamExt;
use thiserror::Error;
use tokio::runtime::Runtime;
use tokio::task::JoinError;
use tokio::time::Instant;

pub(crate) use deadline::{widest, widest_of};
pub use described::sql_type;
use functions::Functions;
use gate::Admitted;
use held::Held;
use rules::{PlanRules, Rules};

use crate::joins::asof_sql::AsofPlanner;
use crate::joins::planner::Planner;

/// What one engine, and one query of it, may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineLimits {
    /// Shared by all running queries: sorts, joins, groups and the rows of unfinished answers.
    pub memory_bytes: usize,
    /// How many tasks one query may run side by side.
    pub target_partitions: usize,
    /// An answer with more rows is an error, not a shorter answer.
    pub max_rows: usize,
    /// From parsing to the last row.
    pub timeout: Duration,
}

impl Default for EngineLimits {
    fn default() -> Self {
        Self { memory_bytes: 256 << 20, target_partitions: 2, max_rows: 100_000, timeout: Duration::from_secs(30) }
    }
}

/// Why there is no answer. Texts name only what the caller wrote or could see.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum QueryError {
    /// Sound SQL that is not allowed here: more than one statement, or one that is not a query.
    #[error("{0}")]
    Refused(String),
    /// It cannot be parsed or planned: syntax, an unknown table, column or function.
    #[error("{0}")]
    Invalid(String),
    /// The answer is over [`EngineLimits::max_rows`].
    #[error("more than {max} rows: narrow the query or add a LIMIT")]
    TooManyRows {
        /// The limit.
        max: usize,
    },
    /// The answer has more bytes than were asked for.
    #[error("the answer has more than {} MiB: narrow the query", .max >> 20)]
    TooLong {
        /// The limit, in bytes.
        max: usize,
    },
    /// The memory of all queries is used up.
    #[error("the query needs more memory than the {bytes} bytes that all queries share")]
    Memory {
        /// The limit.
        bytes: usize,
    },
    /// It took longer than [`EngineLimits::timeout`].
    #[error("the query took longer than {0:?}")]
    Timeout(Duration),
    /// It failed while it ran, for instance on a cast.
    #[error("{0}")]
    Failed(String),
}

/// An answer as text.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonAnswer {
    /// Names and types of the columns.
    pub schema: SchemaRef,
    /// A JSON array of rows, each an array of values.
    pub rows: String,
}

/// Columns of an answer in text, at most.
const MAX_COLUMNS: usize = 500;

/// The tables that one query may name, and the functions that know what is in them.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    tables: Vec<(&'static str, Arc<dyn TableProvider>)>,
    functions: Vec<Arc<ScalarUDF>>,
}

impl Tables {
    /// No table; still enough for `SELECT 1`.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same and this one.
    #[must_use]
    pub fn with(mut self, name: &'static str, table: Arc<dyn TableProvider>) -> Self {
        self.tables.push((name, table));
        self
    }

    /// The same and this function.
    #[must_use]
    pub fn with_function(mut self, function: ScalarUDF) -> Self {
        self.functions.push(Arc::new(function));
        self
    }

    /// Name and table, in the order given.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Arc<dyn TableProvider>)> {
        self.tables.iter().map(|(name, table)| (*name, table))
    }
}

/// What the text of a query may come to, if all of it stands in each row of a piece.
const WRITTEN: usize = 4 << 20;

/// Rows that operators hand on at a time: the fewer, the more a query asks of each.
fn rows_of_a_piece(sql: &str) -> usize {
    (WRITTEN / sql.len().max(1)).clamp(64, 4096)
}

/// Stack of each thread. Queries are bounded so that a quarter of it is enough.
const STACK_BYTES: usize = 32 << 20;

/// Turns of a busy thread between two looks at the clock.
const TURNS: u32 = 2;

/// Runs queries within limits, on threads of its own, so that none holds up what it shares the process with.
#[derive(Debug)]
pub struct Engine {
    shared: Arc<Shared>,
    /// `None` only while it is dropped.
    threads: Option<Runtime>,
}

impl Engine {
    /// An engine that never touches a disk: what does not fit its memory is refused.
    ///
    /// # Errors
    /// [`QueryError::Failed`] when its threads cannot be started.
    pub fn new(limits: EngineLimits) -> Result<Self, QueryError> {
        let pool = Arc::new(GreedyMemoryPool::new(limits.memory_bytes));
        Self::build(limits, pool, DiskManagerMode::Disabled, 0)
    }

    /// An engine whose sorts and groups may spill into `dir`, at most `bytes` of it at a time.
    ///
    /// # Errors
    /// [`QueryError::Failed`] when its threads cannot be started or `dir` cannot be used.
    pub fn spilling(limits: EngineLimits, dir: PathBuf, bytes: u64) -> Result<Self, QueryError> {
        let pool = Arc::new(FairSpillPool::new(limits.memory_bytes));
        Self::build(limits, pool, DiskManagerMode::Directories(vec![dir]), bytes)
    }

    fn build(
        limits: EngineLimits,
        pool: Arc<dyn MemoryPool>,
        mode: DiskManagerMode,
        disk_bytes: u64,
    ) -> Result<Self, QueryError> {
        let mut disk = DiskManagerBuilder::default();
        disk.set_mode(mode);
        disk.set_max_temp_directory_size(disk_bytes);
        let environment = RuntimeEnvBuilder::new()
            .with_memory_pool(pool)
            .with_disk_manager_builder(disk)
            .build_arc()
            .map_err(|e| QueryError::Failed(e.strip_backtrace()))?;
        let threads = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(limits.target_partitions.max(1))
            .thread_name("sql")
            // What a thread has used for one query the allocator keeps for that thread: the fewer, the less is kept.
            .max_blocking_threads(limits.target_partitions.max(1))
            .thread_stack_size(STACK_BYTES)
            // While all threads are busy time is looked at after so many turns, and a turn may take as long as a piece does.
            .event_interval(TURNS)
            .enable_time()
            .build()
            .map_err(|e| QueryError::Failed(e.to_string()))?;
        let shared = Arc::new(Shared {
            limits,
            environment,
            functions: Functions::allowed(),
            rules: rules::of_queries(),
            plans: rules::of_plans(),
        });
        Ok(Self { shared, threads: Some(threads) })
    }

    /// The limits it was made with.
    pub fn limits(&self) -> &EngineLimits {
        &self.shared.limits
    }

    /// Tasks of queries that have not ended yet: of one that is given up, until all that it does has stopped.
    pub fn tasks(&self) -> usize {
        self.threads.as_ref().map_or(0, |threads| threads.metrics().num_alive_tasks())
    }

    /// Bytes that running queries hold right now.
    pub fn reserved_bytes(&self) -> usize {
        self.shared.environment.memory_pool.reserved()
    }

    /// Answers as [`Engine::query`] does, as JSON text of at most `most` bytes. The tables are made and the text is written on the
    /// engine's own threads, while what the answer takes is counted; `held` is let go of when all that has ended, and not
    /// when the caller has lost patience.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn query_json(
        &self,
        tables: impl FnOnce() -> Tables + Send + 'static,
        sql: String,
        most: usize,
        held: impl Send + 'static,
    ) -> Result<JsonAnswer, QueryError> {
        let shared = Arc::clone(&self.shared);
        let task = {
            let _entered = self.threads.as_ref().map(Runtime::enter);
            SpawnedTask::spawn(async move {
                let _held = held;
                let (batches, _counted) = shared.query(&tables(), &sql).await?;
                let schema = batches.first().map(RecordBatch::schema).unwrap_or_else(|| Arc::new(Schema::empty()));
                if schema.fields().len() > MAX_COLUMNS {
                    return Err(QueryError::Refused(format!("an answer may have {MAX_COLUMNS} columns")));
                }
                let rows = json::rows(&batches, most).map_err(|why| QueryError::Failed(why.to_string()))?;
                Ok(JsonAnswer { schema, rows: rows.ok_or(QueryError::TooLong { max: most })? })
            })
        };
        task.join().await.unwrap_or_else(|e| Err(QueryError::Failed(format!("the query broke off: {e}"))))
    }

    /// Answers one `SELECT`, `EXPLAIN`, `SHOW TABLES` or `DESCRIBE` over `tables`.
    ///
    /// There is always at least one batch, so that an empty answer still tells its columns. Dropping the future
    /// cancels the query and frees what it holds.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn query(&self, tables: Tables, sql: &str) -> Result<Vec<RecordBatch>, QueryError> {
        let (shared, sql) = (Arc::clone(&self.shared), sql.to_owned());
        let task = {
            let _entered = self.threads.as_ref().map(Runtime::enter);
            // Aborted when it is dropped.
            SpawnedTask::spawn(async move { shared.query(&tables, &sql).await.map(|(batches, _)| batches) })
        };
        task.join().await.unwrap_or_else(|e| Err(QueryError::Failed(format!("the query broke off: {e}"))))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Not waiting: it may be dropped by an async task.
        if let Some(threads) = self.threads.take() {
            threads.shutdown_background();
        }
    }
}

#[derive(Debug)]
struct Shared {
    limits: EngineLimits,
    environment: Arc<RuntimeEnv>,
    functions: Functions,
    rules: Rules,
    plans: PlanRules,
}

impl Shared {
    async fn query(&self, tables: &Tables, sql: &str) -> Result<(Vec<RecordBatch>, Held), QueryError> {
        let deadline = Instant::now() + self.limits.timeout;
        match tokio::time::timeout_at(deadline, self.run(tables, sql, deadline)).await {
            Ok(answer) => answer,
            Err(_) => Err(QueryError::Timeout(self.limits.timeout)),
        }
    }

    async fn run(&self, tables: &Tables, sql: &str, deadline: Instant) -> Result<(Vec<RecordBatch>, Held), QueryError> {
        let (mut statement, compiled) = match gate::admit(sql)? {
            Admitted::Query(statement, compiled) => (statement, compiled),
            Admitted::Description(asked) => {
                return Ok((vec![asked.rows(tables)?], Held::new(&self.environment.memory_pool)));
            }
        };
        rewrite::rewrite(&mut statement, tables);
        let rows = rows_of_a_piece(sql);
        let context = self.session(tables, rows, deadline).map_err(|e| self.error(&e))?;
        let mut state = context.state();
        let plan = state.statement_to_plan(statement).await.map_err(|e| self.error(&e))?;
        // The gate has judged the syntax; this judges what it was planned to.
        let read_only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        read_only.verify_plan(&plan).map_err(|e| QueryError::Refused(e.strip_backtrace()))?;
        if let Some(why) = gate::plan::over(&plan).map_err(|e| self.error(&e))? {
            return Err(QueryError::Refused(why));
        }
        let mut ready = state.create_physical_plan(&plan).await.map_err(|e| self.error(&e))?;
        let fewer = deadline::rows_of_a_piece(&ready, rows).map_err(|e| self.error(&e))?;
        if fewer < rows {
            // Operators are made for so many rows.
            *state.config_mut() = state.config().clone().with_batch_size(fewer);
            ready = state.create_physical_plan(&plan).await.map_err(|e| self.error(&e))?;
        }
        let (plan, rows) = (ready, fewer);
        let plan = deadline::keep(plan, deadline, rows, compiled).map_err(|e| self.error(&e))?;
        let stream = execute_stream(plan, state.task_ctx()).map_err(|e| self.error(&e))?;
        self.collect(stream).await
    }

    /// What one query sees, and no other.
    fn session(&self, tables: &Tables, rows: usize, deadline: Instant) -> Result<SessionContext, DataFusionError> {
        let mut config = SessionConfig::new()
            .with_information_schema(false)
            .with_default_catalog_and_schema("whyd", "public")
            .with_target_partitions(self.limits.target_partitions.max(1))
            .with_batch_size(rows);
        let options = config.options_mut();
        options.extensions.insert(deadline::Until(deadline));
        options.execution.enable_recursive_ctes = false;
        options.execution.time_zone = Some("UTC".to_owned());
        // A third changes nothing, and each takes a tenth of what planning does.
        options.optimizer.max_passes = 2;
        // What replaces a union reads all of it at once.
        options.optimizer.prefer_existing_union = true;
        // Readers such as Grafana's Flight SQL client know Utf8 but not its views.
        options.sql_parser.map_string_types_to_utf8view = false;
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(Arc::clone(&self.environment))
            .with_expr_planners(self.functions.syntax.clone())
            .with_scalar_functions([&self.functions.scalar[..], &tables.functions[..]].concat())
            .with_aggregate_functions(self.functions.aggregate.clone())
            .with_window_functions(self.functions.window.clone())
            .with_relation_planners(vec![Arc::new(AsofPlanner)])
            .with_optimizer_rules(self.rules.clone())
            .with_query_planner(Arc::new(Planner))
            .with_physical_optimizer_rules(self.plans.clone())
            .build();
        let context = SessionContext::new_with_state(state);
        for (name, table) in tables.iter() {
            context.register_table(name, Arc::clone(table))?;
        }
        Ok(context)
    }

    /// The rows, and what holds their memory.
    async fn collect(&self, mut stream: SendableRecordBatchStream) -> Result<(Vec<RecordBatch>, Held), QueryError> {
        let mut held = Held::new(&self.environment.memory_pool);
        let mut rows = 0;
        let mut batches = Vec::new();
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(|e| self.error(&e))?;
            rows += batch.num_rows();
            if rows > self.limits.max_rows {
                return Err(QueryError::TooManyRows { max: self.limits.max_rows });
            }
            if batch.num_rows() > 0 {
                held.add(&batch).map_err(|e| self.error(&e))?;
                batches.push(batch);
            }
        }
        if batches.is_empty() {
            batches.push(RecordBatch::new_empty(stream.schema()));
        }
        Ok((batches, held))
    }

    fn error(&self, error: &DataFusionError) -> QueryError {
        match error.find_root() {
            DataFusionError::External(e) if e.is::<deadline::Late>() => QueryError::Timeout(self.limits.timeout),
            // A panic on a task that one of its operators runs.
            DataFusionError::External(e) if e.is::<JoinError>() || e.is::<Arc<JoinError>>() => {
                QueryError::Failed(format!("the query broke off: {e}"))
            }
            DataFusionError::ResourcesExhausted(_) => QueryError::Memory { bytes: self.limits.memory_bytes },
            DataFusionError::SQL(..)
            | DataFusionError::Plan(_)
            | DataFusionError::SchemaError(..)
            | DataFusionError::NotImplemented(_)
            | DataFusionError::Diagnostic(..) => {
                let text = words::of(error.strip_backtrace());
                let hint = if text.contains("table '") && text.ends_with("not found") { described::HINT } else { "" };
                QueryError::Invalid(text + hint)
            }
            _ => QueryError::Failed(words::of(error.strip_backtrace())),
        }
    }
}
