//! One Parquet file of a partition: how it is named, written and known again.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_writer::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use serde::{Deserialize, Serialize};
use whyd_signals::{Lsn, Team, Timestamp};

use super::{CheckpointError, Store};

/// Nanoseconds of an hour.
const HOUR: i64 = 3_600_000_000_000;
/// Rows read at a time.
const READ: usize = 1 << 16;
/// What every data file's name ends with.
pub(super) const ENDING: &str = ".parquet";

/// What is in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Signal {
    Samples,
    Logs,
    /// The labels of the series whose samples are in files of the same checkpoint.
    Series,
}

impl Signal {
    fn as_str(self) -> &'static str {
        match self {
            Self::Samples => "samples",
            Self::Logs => "logs",
            Self::Series => "series",
        }
    }
}

/// A file as a manifest names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DataFile {
    pub(super) name: String,
    pub(super) signal: Signal,
    /// Since the epoch.
    pub(super) hour: i64,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    crc: u32,
    /// Between when its rows were received.
    pub(super) received: (i64, i64),
    /// The last record of the log that may be in it.
    pub(super) to: Lsn,
}

/// The partition of rows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Partition {
    pub(super) team: Team,
    pub(super) signal: Signal,
    /// Since the epoch, by the rows' own time as [`Hours`] have it.
    pub(super) hour: i64,
}

impl Partition {
    /// `team=a/signal=samples/date=2026-01-01/hour=07/<first lsn>-<last>.parquet`
    fn name(&self, (from, to): (Lsn, Lsn)) -> String {
        let began = Timestamp(self.hour.saturating_mul(HOUR)).to_string();
        let (date, hour) = (began.get(..10).unwrap_or_default(), began.get(11..13).unwrap_or_default());
        let (team, signal) = (plain(self.team.as_str()), self.signal.as_str());
        format!("team={team}/signal={signal}/date={date}/hour={hour}/{:020}-{:020}{ENDING}", from.0, to.0)
    }
}

/// The hours by which rows are filed. What is older than the window lies in its first: a sender may give its rows any time,
/// and is not to decide how many files there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hours {
    first: i64,
}

impl Hours {
    pub(super) fn from(window: Timestamp) -> Self {
        Self { first: window.0.div_euclid(HOUR) }
    }

    pub(super) fn of(self, ts: i64) -> i64 {
        ts.div_euclid(HOUR).max(self.first)
    }
}

/// Where a file's records of the log end, by its name.
pub(super) fn last_of(name: &str) -> Option<Lsn> {
    let (_, last) = name.strip_suffix(ENDING)?.rsplit_once('-')?;
    last.parse().ok().map(Lsn)
}

/// A name that no store and no reader of partitions takes for anything else.
fn plain(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.' {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("_{byte:02x}"));
        }
    }
    out
}

/// Files that are being written, one for each partition.
pub(super) struct Open {
    schema: SchemaRef,
    properties: WriterProperties,
    files: BTreeMap<Partition, OpenFile>,
}

struct OpenFile {
    writer: ArrowWriter<Vec<u8>>,
    rows: u64,
    received: (i64, i64),
}

impl Open {
    /// `repeated` are columns in which few values come again and again, `rising` is one of times.
    pub(super) fn new(schema: SchemaRef, repeated: &[&str], rising: &str) -> Result<Self, CheckpointError> {
        let level = ZstdLevel::try_new(1).map_err(|e| CheckpointError::form("compression", e))?;
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_dictionary_enabled(false)
            .set_column_encoding(ColumnPath::from(rising), Encoding::DELTA_BINARY_PACKED);
        for column in repeated {
            properties = properties.set_column_dictionary_enabled(ColumnPath::from(*column), true);
        }
        Ok(Self { schema, properties: properties.build(), files: BTreeMap::new() })
    }

    /// Appends rows that were received between these times.
    pub(super) fn write(
        &mut self,
        to: &Partition,
        rows: &RecordBatch,
        received: (i64, i64),
    ) -> Result<(), CheckpointError> {
        let wrong = |e| CheckpointError::form("Parquet", e);
        if !self.files.contains_key(to) {
            let writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&self.schema), Some(self.properties.clone()));
            let file = OpenFile { writer: writer.map_err(wrong)?, rows: 0, received: (i64::MAX, i64::MIN) };
            self.files.insert(to.clone(), file);
        }
        let Some(file) = self.files.get_mut(to) else { return Ok(()) };
        file.writer.write(rows).map_err(wrong)?;
        file.rows += rows.num_rows() as u64;
        file.received = (file.received.0.min(received.0), file.received.1.max(received.1));
        Ok(())
    }

    /// Ends all files and puts them into the store; gives what the manifest says of them.
    pub(super) fn finish(self, lsns: (Lsn, Lsn), store: &dyn Store) -> Result<Vec<DataFile>, CheckpointError> {
        let mut done = Vec::with_capacity(self.files.len());
        for (partition, file) in self.files {
            let bytes = file.writer.into_inner().map_err(|e| CheckpointError::form("Parquet", e))?;
            let name = partition.name(lsns);
            done.push(DataFile {
                signal: partition.signal,
                hour: partition.hour,
                rows: file.rows,
                bytes: bytes.len() as u64,
                crc: crc32fast::hash(&bytes),
                received: file.received,
                to: lsns.1,
                name: name.clone(),
            });
            store.create(&name, bytes.into()).map_err(|source| CheckpointError::Store { name, source })?;
        }
        Ok(done)
    }
}

impl DataFile {
    /// What can be told of a file from itself.
    pub(super) fn found(name: &str, bytes: &Bytes) -> Option<Self> {
        let part = |key: &str| name.split('/').find_map(|p| p.strip_prefix(key));
        let signals = [Signal::Samples, Signal::Logs, Signal::Series];
        let signal = signals.into_iter().find(|s| Some(s.as_str()) == part("signal="))?;
        let began = Timestamp::parse(&format!("{}T{}:00:00Z", part("date=")?, part("hour=")?))?;
        let rows = ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).ok()?.metadata().file_metadata().num_rows();
        Some(Self {
            name: name.to_owned(),
            signal,
            hour: began.0.div_euclid(HOUR),
            rows: u64::try_from(rows).ok()?,
            bytes: bytes.len() as u64,
            crc: crc32fast::hash(bytes),
            received: (began.0, began.0.saturating_add(HOUR)),
            to: last_of(name)?,
        })
    }

    /// Its bytes, which are as they were written.
    pub(super) fn read(&self, store: &dyn Store) -> Result<Bytes, CheckpointError> {
        let name = self.name.clone();
        let bytes = match store.read(&name) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(CheckpointError::Damaged(name)),
            Err(source) => return Err(CheckpointError::Store { name, source }),
        };
        if bytes.len() as u64 != self.bytes || crc32fast::hash(&bytes) != self.crc {
            return Err(CheckpointError::Damaged(name));
        }
        Ok(bytes)
    }
}

/// The rows of a file, of these columns only, in the order of the schema.
pub(super) fn rows(
    bytes: Bytes,
    columns: &[&str],
) -> Result<impl Iterator<Item = Result<RecordBatch, CheckpointError>>, CheckpointError> {
    let wrong = |e| CheckpointError::form("Parquet", e);
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(wrong)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    let reader = builder.with_projection(mask).with_batch_size(READ).build().map_err(wrong)?;
    Ok(reader.map(|batch| batch.map_err(|e| CheckpointError::form("Parquet", e))))
}

/// A column of a batch by its name and type.
pub(super) fn column<'a, A: 'static>(batch: &'a RecordBatch, name: &str) -> Result<&'a A, CheckpointError> {
    let found = batch.column_by_name(name).and_then(|c| c.as_any().downcast_ref());
    found.ok_or_else(|| CheckpointError::form("Parquet", format!("no column {name} of its type")))
}
