#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use whyd_signals::sink::{LogSink, RawLabels, SampleSink};
use whyd_signals::{Access, Lsn, Timestamp};

use super::*;
use crate::Limits;
use crate::labels::tests::raw;
use crate::writer::tests::Lengths;

const BASE: i64 = 1_790_000_000_000_000_000;
const MINUTE: i64 = 60_000_000_000;

/// Objects in memory; its clones are the same one.
#[derive(Debug, Clone, Default)]
struct Shelf(Arc<Mutex<BTreeMap<String, Bytes>>>);

impl Store for Shelf {
    fn create(&self, name: &str, bytes: Bytes) -> io::Result<()> {
        let mut objects = self.0.lock().unwrap();
        if objects.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        objects.insert(name.to_owned(), bytes);
        Ok(())
    }

    fn read(&self, name: &str) -> io::Result<Bytes> {
        self.0.lock().unwrap().get(name).cloned().ok_or(io::ErrorKind::NotFound.into())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.names())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.lock().unwrap().remove(name);
        Ok(())
    }
}

impl Shelf {
    fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().keys().cloned().collect()
    }

    fn kept(&self, limits: KeepLimits) -> Checkpoints {
        Checkpoints::new(Box::new(self.clone()), limits)
    }
}

fn limits() -> KeepLimits {
    let window = Duration::from_secs(6 * 3600);
    KeepLimits { window, memory: usize::MAX, retention: window, bytes: 1 << 30 }
}

fn writer() -> Writer {
    Writer::new(Limits::default(), Box::new(Lengths))
}

/// Samples of five series and lines of two streams, received at this minute.
fn push(w: &mut Writer, minute: i64, from: i64) {
    w.begin(Timestamp(BASE + minute * MINUTE), None);
    for n in 0..5 {
        let namespace = if n < 3 { "team-a" } else { "team-b" };
        let name = format!("m{n}");
        let id = w.series(RawLabels(&raw(&[("__name__", &name), ("namespace", namespace)]))).unwrap();
        let _ = w.sample(id, Timestamp(BASE + from * MINUTE + n), (minute * 10 + n) as f64);
    }
    for pod in ["p", "q"] {
        let labels = [("namespace".into(), "team-a".into()), ("pod".into(), pod.into())];
        let stream = w.stream(&labels, &[]).unwrap();
        let _ = w.line(stream, Timestamp(BASE + from * MINUTE), &format!("level=warn at {minute}"));
        let _ = w.line(stream, Timestamp(BASE + from * MINUTE), "the same time");
    }
    let staged = w.stage();
    w.publish(staged.mark);
}

fn picture(w: &mut Writer, lsn: u64, minute: i64) -> Picture {
    let at = Timestamp(BASE + minute * MINUTE);
    Picture { point: Point { lsn: Lsn(lsn), at, by: "me".into() }, cut: w.cut().unwrap(), rest: b"the rest".to_vec() }
}

fn write(checkpoints: &mut Checkpoints, w: &mut Writer, lsn: u64, minute: i64) {
    let picture = picture(w, lsn, minute);
    let generation = picture.cut.generation();
    checkpoints.write(&picture).unwrap();
    w.keep(generation);
}

fn opened(checkpoints: &mut Checkpoints) -> Option<(u64, Writer)> {
    let (checkpoint, rest) = checkpoints.open("me", None, |rest| Some(rest.to_vec())).unwrap()?;
    assert_eq!(rest, b"the rest");
    let (lsn, mut w) = (checkpoint.point.lsn.0, writer());
    checkpoint.resume(&mut w);
    Some((lsn, w))
}

/// All that readers see.
fn seen(w: &Writer) -> String {
    let scoped = w.snapshot().scoped(&Access::All);
    let (from, to) = (Timestamp::MIN, Timestamp::MAX);
    let mut out = String::new();
    for (id, meta) in scoped.all_series() {
        out += &format!("{id:?} {:?} {:?}\n", meta.labels, scoped.slice(id, from, to));
    }
    for pod in ["p", "q"] {
        out += &format!("{:?}\n", scoped.lines_of("team-a", pod, "", from, to));
    }
    let stats = w.stats();
    out + &format!("{} {} {} {}", stats.samples_held, stats.lines_held, stats.series, stats.streams)
}

#[test]
fn a_start_finds_what_was_held_and_what_comes_next_is_judged_by_it() {
    let (shelf, mut w) = (Shelf::default(), writer());
    let mut checkpoints = shelf.kept(limits());
    for minute in 0..150 {
        push(&mut w, minute, minute);
        w.seal(Timestamp(BASE + minute * MINUTE));
        if minute % 40 == 39 {
            write(&mut checkpoints, &mut w, minute as u64, minute);
        }
    }
    write(&mut checkpoints, &mut w, 150, 150);
    let (lsn, mut again) = opened(&mut shelf.kept(limits())).unwrap();
    assert_eq!((lsn, seen(&again)), (150, seen(&w)));
    // Late rows, repeated ones, other values of known ones and new ones are judged alike.
    for (minute, from) in [(151, 151), (152, 145), (153, 20), (153, 153), (154, 151)] {
        push(&mut w, minute, from);
        push(&mut again, minute, from);
        assert_eq!(seen(&again), seen(&w), "{minute} {from}");
    }
    let figures = |w: &Writer| (w.stats().repeated, w.stats().refused);
    assert_eq!(figures(&again), figures(&w));
    assert_eq!(figures(&again).1[&whyd_signals::sink::Refusal::Duplicate], 15);
    write(&mut checkpoints, &mut w, 155, 155);
    assert_eq!(seen(&opened(&mut shelf.kept(limits())).unwrap().1), seen(&w), "corrections of written rows last");
}

#[test]
fn rows_of_a_checkpoint_that_failed_are_in_the_next() {
    let (shelf, mut w) = (Shelf::default(), writer());
    let mut checkpoints = shelf.kept(limits());
    push(&mut w, 0, 0);
    write(&mut checkpoints, &mut w, 1, 0);
    push(&mut w, 1, 1);
    drop(picture(&mut w, 2, 1));
    push(&mut w, 2, 2);
    write(&mut checkpoints, &mut w, 3, 2);
    assert_eq!(seen(&opened(&mut shelf.kept(limits())).unwrap().1), seen(&w));
}

#[test]
fn damage_anywhere_leads_to_the_one_before_or_to_none_and_never_to_wrong_rows() {
    let (shelf, mut w) = (Shelf::default(), writer());
    let mut checkpoints = shelf.kept(limits());
    let mut known = Vec::new();
    for lsn in 1..=3 {
        push(&mut w, lsn as i64, lsn as i64);
        write(&mut checkpoints, &mut w, lsn, lsn as i64);
        known.push(seen(&w));
    }
    let whole = shelf.0.lock().unwrap().clone();
    assert_eq!(shelf.names().iter().filter(|n| n.starts_with("checkpoint/")).count(), 2, "the newest and one more");
    let mut fell_back = 0;
    for (name, bytes) in &whole {
        for at in (0..bytes.len()).step_by(bytes.len().div_ceil(60)).chain([bytes.len() - 1]) {
            for cut in [false, true] {
                let mut damaged = bytes.to_vec();
                damaged[at] ^= 0x10;
                damaged.truncate(if cut { at } else { bytes.len() });
                let shelf = Shelf(Arc::new(Mutex::new(whole.clone())));
                shelf.0.lock().unwrap().insert(name.clone(), damaged.into());
                let mut checkpoints = shelf.kept(limits());
                match opened(&mut checkpoints) {
                    Some((3, w)) => assert_eq!(seen(&w), known[2], "{name} at {at}"),
                    Some((lsn, w)) => {
                        fell_back += 1;
                        assert_eq!(seen(&w), known[lsn as usize - 1], "{name} at {at}");
                    }
                    None => {}
                }
                let of_rows = !name.contains("signal=series") && !name.ends_with("02");
                assert!(!of_rows || checkpoints.stats().damaged > 0, "{name} at {at} was not noticed");
            }
        }
    }
    assert!(fell_back > 100, "{fell_back}");
}

#[test]
fn files_go_with_the_retention_and_with_the_bytes_but_none_that_the_window_needs() {
    let (shelf, mut w) = (Shelf::default(), writer());
    let window = Duration::from_secs(600);
    let wide = KeepLimits { window, memory: usize::MAX, retention: Duration::from_secs(3600), bytes: 1 << 30 };
    let mut checkpoints = shelf.kept(wide);
    for minute in 0..120 {
        push(&mut w, minute, minute);
        if minute % 10 == 0 {
            write(&mut checkpoints, &mut w, minute as u64 + 1, minute);
        }
    }
    let stats = checkpoints.stats();
    // Seven of the twelve, and of each samples, lines and series of one hour or two.
    assert!((21..=30).contains(&stats.files) && stats.old > 10, "{stats:?}");
    let unnamed = shelf.names().len() as u64 - stats.files;
    assert!(unnamed <= 2 + 10, "{unnamed} files that no manifest but the older one names");
    let mut few = shelf.kept(KeepLimits { bytes: stats.bytes / 2, ..wide });
    let (_, mut w) = opened(&mut few).unwrap();
    push(&mut w, 121, 121);
    write(&mut few, &mut w, 122, 121);
    assert!(few.stats().over > 0 && few.stats().files < stats.files, "{:?}", few.stats());
    let mut none = shelf.kept(KeepLimits { bytes: 1000, ..wide });
    let (_, mut w) = opened(&mut none).unwrap();
    push(&mut w, 122, 122);
    let said = none.write(&picture(&mut w, 123, 122)).unwrap_err().to_string();
    assert!(said.contains("the window needs"), "{said}");
    assert_eq!(none.stats().failed, 1);
    assert_eq!(opened(&mut shelf.kept(wide)).unwrap().0, 122, "the one before it is as it was");
}

#[test]
fn what_no_manifest_names_goes_and_what_another_made_is_history() {
    let (shelf, mut w) = (Shelf::default(), writer());
    push(&mut w, 0, 0);
    write(&mut shelf.kept(limits()), &mut w, 5, 0);
    let file = shelf.names().iter().find(|n| n.contains("signal=logs")).unwrap().clone();
    let torn = file.replace("00000000000000000005.parquet", "00000000000000000009.parquet");
    shelf.create(&torn, Bytes::from_static(b"PAR1")).unwrap();
    shelf.create("somebody's.txt", Bytes::new()).unwrap();
    assert!(opened(&mut shelf.kept(limits())).is_some());
    assert!(!shelf.names().contains(&torn) && shelf.names().contains(&"somebody's.txt".to_owned()));
    let read = |log_from| {
        let shelf = Shelf(Arc::new(Mutex::new(shelf.0.lock().unwrap().clone())));
        let mut other = shelf.kept(limits());
        assert!(other.open("another", log_from, |_| Some(())).unwrap().is_none());
        assert_eq!(other.stats().strange, 1);
        shelf.names().contains(&file)
    };
    assert!(!read(Some(Lsn(1))), "the log has its rows, and the next checkpoint will");
    assert!(read(Some(Lsn(6))), "nobody else has them");
    shelf.remove("checkpoint/00000000000000000005").unwrap();
    let mut checkpoints = shelf.kept(limits());
    assert!(checkpoints.open("me", Some(Lsn(6)), |_| Some(())).unwrap().is_none());
    assert!(shelf.names().contains(&file), "not even where no manifest is left");
}

#[test]
fn others_read_it_by_these_names() {
    let (shelf, mut w) = (Shelf::default(), writer());
    push(&mut w, 0, 0);
    write(&mut shelf.kept(limits()), &mut w, 7, 0);
    let mut found = Vec::new();
    for (name, bytes) in shelf.0.lock().unwrap().iter().filter(|(name, _)| name.ends_with(".parquet")) {
        let (folder, file) = name.rsplit_once('/').unwrap();
        assert_eq!(file, "00000000000000000001-00000000000000000007.parquet");
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).unwrap();
        let rows = reader.metadata().file_metadata().num_rows();
        assert_eq!(rows, if folder.contains("logs") { 4 } else { 5 });
        let columns: Vec<String> =
            reader.schema().fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect();
        found.push(format!("{folder}: {}", columns.join(", ")));
    }
    let at = "date=2026-09-21/hour=14";
    assert_eq!(
        found,
        [
            format!(
                "team=platform/signal=logs/{at}: ts Timestamp(ns, \"UTC\"), namespace Utf8, pod Utf8, container Utf8, \
                 level Utf8, template_id UInt64, line Utf8, stream_id UInt32, arrival UInt64"
            ),
            format!(
                "team=platform/signal=samples/{at}: series FixedSizeBinary(16), series_id UInt32, \
                 ts Timestamp(ns, \"UTC\"), value Float64"
            ),
            format!(
                "team=platform/signal=series/{at}: series FixedSizeBinary(16), series_id UInt32, name Utf8, labels Utf8, \
                 namespace Utf8, pod Utf8, container Utf8, node Utf8"
            ),
        ]
    );
}

#[test]
fn rows_of_any_time_lie_in_few_files() {
    let (shelf, mut w) = (Shelf::default(), writer());
    w.begin(Timestamp(BASE), None);
    let id = w.series(RawLabels(&raw(&[("__name__", "m"), ("namespace", "team-a")]))).unwrap();
    for hour in 0..50 {
        w.sample(id, Timestamp(hour * 60 * MINUTE), 1.0).unwrap();
    }
    w.sample(id, Timestamp(BASE), 1.0).unwrap();
    let staged = w.stage();
    w.publish(staged.mark);
    write(&mut shelf.kept(limits()), &mut w, 1, 0);
    let names = shelf.names();
    assert_eq!(names.iter().filter(|n| n.contains("signal=samples")).count(), 2, "{names:?}");
    assert!(names.iter().any(|n| n.contains("date=2026-09-21/hour=08")), "where the window begins: {names:?}");
    assert_eq!(seen(&opened(&mut shelf.kept(limits())).unwrap().1), seen(&w));
}
