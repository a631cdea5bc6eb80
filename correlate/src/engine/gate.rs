//! Which statements are let in, judged before anything is planned; what they were planned to is judged by [`plan`].

mod extent;
mod lists;
mod patterns;
pub(super) mod plan;
mod sets;

use std::ops::ControlFlow;

use lists::Lists;
use patterns::Patterns;
pub(super) use patterns::written;

use super::described::{self, Description};
use super::dialect;
use super::functions::GROWING;
use super::{QueryError, words};
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{Query, Select, Statement as Sql, TableFactor, Visit, Visitor};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

/// Longer texts are not read.
const MAX_BYTES: usize = 64 << 10;
/// A chain such as `1+1+1...` becomes a tree as deep as it is long, and the planner walks trees on its stack.
const MAX_OPERATORS: usize = 512;
/// What one `||` counts, and one function by which text gets longer: no pool counts the text that an expression makes.
const CONCAT: usize = 16;
/// What one regular expression counts: each is compiled, and keeps what it found out.
const PATTERN: usize = 8;
/// What one `->`, `->>` or `[` counts: each has all that stands before it in its name, which planning writes for each anew.
const STEP: usize = 8;

/// What is let in.
#[derive(Debug)]
pub(super) enum Admitted {
    /// One that is planned and run, and the bytes that its patterns compile to.
    Query(Statement, usize),
    /// A question about the tables themselves.
    Description(Description),
}

/// The one statement of `sql`, if it only reads.
pub(super) fn admit(sql: &str) -> Result<Admitted, QueryError> {
    if sql.len() > MAX_BYTES {
        return Err(QueryError::Refused(format!("a query of {} bytes is over the limit of {MAX_BYTES}", sql.len())));
    }
    if sql.trim_start().starts_with('\\') {
        return Err(QueryError::Invalid(
            "a command of psql is no SQL: SHOW TABLES names the tables, DESCRIBE restarts the columns of one"
                .to_owned(),
        ));
    }
    let dialect = dialect::Sql;
    let tokens =
        Tokenizer::new(&dialect, sql).tokenize_with_location().map_err(|e| QueryError::Invalid(e.to_string()))?;
    let operators: usize = tokens.iter().map(|t| weight(&t.token)).sum();
    if operators > MAX_OPERATORS {
        return Err(QueryError::Refused(format!(
            "a query with {operators} operators is over the limit of {MAX_OPERATORS}"
        )));
    }
    let mut statements = DFParserBuilder::new(sql)
        .with_dialect(&dialect)
        .build()
        .and_then(|mut p| p.parse_statements())
        .map_err(|e| QueryError::Invalid(words::of_syntax(e.strip_backtrace(), &tokens)))?;
    match (statements.pop_front(), statements.len()) {
        (None, _) => Err(QueryError::Invalid("no statement".to_owned())),
        (Some(statement), 0) => {
            if let Statement::Statement(sql) = &statement
                && let Some(description) = described::asked(sql)?
            {
                return Ok(Admitted::Description(description));
            }
            let compiled = judge(&statement)?;
            Ok(Admitted::Query(statement, compiled))
        }
        (Some(_), more) => Err(QueryError::Refused(format!("{} statements: send one at a time", more + 1))),
    }
}

fn weight(token: &Token) -> usize {
    match token {
        Token::StringConcat => CONCAT,
        Token::Word(word) if GROWING.iter().any(|name| word.value.eq_ignore_ascii_case(name)) => CONCAT,
        Token::Arrow | Token::LongArrow | Token::LBracket => STEP,
        Token::Tilde | Token::TildeAsterisk | Token::ExclamationMarkTilde | Token::ExclamationMarkTildeAsterisk => {
            PATTERN
        }
        Token::Word(word) if is_of_patterns(word.keyword, &word.value) => PATTERN,
        token => usize::from(deepens(token)),
    }
}

fn is_of_patterns(keyword: Keyword, word: &str) -> bool {
    matches!(keyword, Keyword::SIMILAR | Keyword::RLIKE | Keyword::REGEXP)
        || word.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("regexp_"))
}

/// Whether this token can add a level to the tree without a bracket, whose nesting the parser bounds itself.
fn deepens(token: &Token) -> bool {
    match token {
        Token::Word(w) => matches!(
            w.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::XOR
                | Keyword::DIV
                | Keyword::IS
                | Keyword::AT
                | Keyword::COLLATE
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::SIMILAR
                | Keyword::BETWEEN
                | Keyword::IN
                | Keyword::NOTNULL
                | Keyword::JOIN
                | Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::INTERSECT
                | Keyword::MINUS
        ),
        Token::Comma
        | Token::Period
        | Token::SemiColon
        | Token::LParen
        | Token::RParen
        | Token::RBracket
        | Token::EOF
        | Token::Number(..)
        | Token::Char(_)
        | Token::Whitespace(_)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_) => false,
        _ => true,
    }
}

fn judge(statement: &Statement) -> Result<usize, QueryError> {
    match statement {
        Statement::Statement(sql) => match sql.as_ref() {
            Sql::Query(query) => reads_only(query),
            other => Err(refuse(&other.to_string())),
        },
        Statement::Explain(explain) => judge(&explain.statement),
        Statement::CreateExternalTable(_) => Err(refuse("CREATE EXTERNAL TABLE")),
        Statement::CopyTo(_) => Err(refuse("COPY")),
        Statement::Reset(_) => Err(refuse("RESET")),
    }
}

/// Names what was refused by its first word or two, without the rest of what was written.
fn refuse(text: &str) -> QueryError {
    let mut words = text.split_whitespace();
    let first = words.next().unwrap_or_default().to_uppercase();
    let name = match (first.as_str(), words.next()) {
        ("CREATE" | "DROP" | "ALTER", Some(second)) => format!("{first} {}", second.to_uppercase()),
        _ => first,
    };
    QueryError::Refused(format!("{name} is not allowed: only a single SELECT, EXPLAIN, SHOW TABLES or DESCRIBE is"))
}

/// A query may hide a statement that writes: `WITH x AS (DELETE ...)`, `SELECT ... INTO t`; and be larger than it looks. The bytes that
/// its patterns compile to.
fn reads_only(query: &Query) -> Result<usize, QueryError> {
    if let ControlFlow::Break(text) = query.visit(&mut Writes) {
        return Err(refuse(&text));
    }
    if let ControlFlow::Break(()) = query.visit(&mut Sets) {
        return Err(QueryError::Refused(format!(
            "CUBE, ROLLUP and GROUPING SETS may make {} grouping sets of one GROUP BY, as a CUBE of four columns does",
            sets::MAX_SETS
        )));
    }
    if let ControlFlow::Break(()) = query.visit(&mut Samples) {
        return Err(QueryError::Refused("TABLESAMPLE is not supported: all rows would be read".to_owned()));
    }
    if let ControlFlow::Break(why) = query.visit(&mut Lists::default()) {
        return Err(QueryError::Refused(why));
    }
    if let Some(why) = extent::over(query) {
        return Err(QueryError::Refused(why));
    }
    let mut patterns = Patterns::default();
    match query.visit(&mut patterns) {
        ControlFlow::Break(why) => Err(why),
        ControlFlow::Continue(()) => Ok(patterns.compiled),
    }
}

struct Writes;

impl Visitor for Writes {
    type Break = String;

    fn pre_visit_statement(&mut self, statement: &Sql) -> ControlFlow<Self::Break> {
        match statement {
            Sql::Query(_) => ControlFlow::Continue(()),
            other => ControlFlow::Break(other.to_string()),
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Self::Break> {
        if select.into.is_some() { ControlFlow::Break("INTO".to_owned()) } else { ControlFlow::Continue(()) }
    }
}

/// Finds a table of which only some rows are asked for at random; the planner would take all.
struct Samples;

impl Visitor for Samples {
    type Break = ();

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<()> {
        match table {
            TableFactor::Table { sample: Some(_), .. } => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}

/// Finds a `GROUP BY` of too many sets.
struct Sets;

impl Visitor for Sets {
    type Break = ();

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        if sets::over(&select.group_by) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
