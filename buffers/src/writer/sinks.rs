//! The writer as what decoders write into: judging each row.

use std::sync::Arc;

use whyd_signals::schema::Alert;
use whyd_signals::sink::{AlertSink, LogSink, Pair, RawLabels, Refusal, SampleSink};
use whyd_signals::{SeriesId, StreamId, Timestamp};

use super::{Around, CORRECTIONS, Reach, Writer};
use crate::alerts;
use crate::logs::{Bounds, Kept, is_another};
use crate::registry::NONE;
use crate::tail::Room;

/// Stands for a new series whose first row was refused, or one of a replica that is not the elected one, while a record is
/// replayed: its other rows say whether it was let in. So does this number for a stream.
const OVER_CAP: SeriesId = SeriesId(NONE);
/// Given for a row that was refused when it was first judged; why is not in the log.
const REFUSED_BEFORE: Refusal = Refusal::TooOld;

impl SampleSink for Writer {
    fn series(&mut self, labels: RawLabels<'_>) -> Result<SeriesId, Refusal> {
        let obeyed = self.body.obeyed(&self.limits);
        let Self { limits, names, namespaces, cluster, .. } = self;
        let around = &mut Around { limits: obeyed.as_ref().unwrap_or(limits), names, namespaces, cluster };
        let found = self.series.resolve(labels.0, &mut self.replicas, around);
        let judged = matches!(found, Err(why) if why != Refusal::InvalidLabels);
        if judged && self.body.obey.is_some() {
            self.body.let_in = None;
            self.body.over_cap.clear();
            self.body.over_cap.extend_from_slice(labels.0);
            return Ok(OVER_CAP);
        }
        found
    }

    #[inline]
    fn successor(&self, fields: &[u8]) -> Option<(SeriesId, usize)> {
        self.series.successor(fields)
    }

    #[inline]
    fn take_successor(&mut self, series: SeriesId) {
        self.series.take_successor(series);
    }

    #[inline]
    fn expected(&self) -> Option<SeriesId> {
        self.series.expected()
    }

    #[inline]
    fn has_no_order(&self) -> bool {
        self.series.has_no_order()
    }

    fn find_ahead(&self, next: &[RawLabels<'_>], found: &mut [Option<SeriesId>]) {
        self.series.registry.find_ahead(next, found);
    }

    #[inline]
    fn take_found(&mut self, series: SeriesId) {
        self.series.take_found(series);
    }

    fn judge(&mut self, labels: RawLabels<'_>) -> Result<(), Refusal> {
        self.series.judge(labels.0, &self.limits)
    }

    fn lasts(&self, series: SeriesId, labels: RawLabels<'_>) -> bool {
        self.series.registry.lasts(series.0, labels.0)
    }

    fn sample(&mut self, series: SeriesId, ts: Timestamp, value: f64) -> Result<(), Refusal> {
        let row = self.body.row;
        self.body.row += 1;
        let mut series = series;
        if let Some(obey) = &self.body.obey {
            if obey.get(row) {
                self.body.bitmap.set(row);
                return Err(REFUSED_BEFORE);
            }
            if series == OVER_CAP {
                series = match self.body.let_in {
                    Some(id) => SeriesId(id),
                    None => self.let_in()?,
                };
                self.body.let_in = Some(series.0);
            }
        } else if ts.0 > Timestamp(self.body.received).plus(self.limits.lateness).0 {
            return self.refuse(row, Refusal::TooNew);
        }
        let epoch = self.series.registry.epoch;
        let Some(slot) = self.series.slot_mut(series) else { return self.refuse(row, Refusal::InvalidLabels) };
        let last = slot.last;
        if ts.0 > last {
            (slot.last, slot.before) = (ts.0, last);
            slot.epoch = epoch;
            self.append(series, ts.0, value.to_bits(), last);
            return Ok(());
        }
        let is_new = ts.0 < last && ts.0 > slot.before;
        self.sample_behind(row, series, (ts.0, value), last, is_new)
    }

    fn refused(&mut self, samples: u64, why: Refusal) {
        self.refuse_rows(samples, why);
    }
}

impl Writer {
    fn append(&mut self, series: SeriesId, ts: i64, bits: u64, last: i64) {
        let room = Room {
            series: self.series.registry.live(),
            ids: self.series.registry.catalog.len(),
            received: self.body.received,
        };
        self.tail.append(series.0, ts, bits, last, &room);
        self.body.stored += 1;
    }

    /// A sample that is not newer than its series, and known not to be there or not: a repetition, another value of a known one, late or too old.
    fn sample_behind(
        &mut self,
        row: u64,
        series: SeriesId,
        (ts, value): (i64, f64),
        last: i64,
        is_new: bool,
    ) -> Result<(), Refusal> {
        let bits = value.to_bits();
        if !is_new && let Some(stored) = self.stored_at(series.0, ts) {
            if stored == bits {
                self.body.repeated += 1;
                return Ok(());
            }
            let waiting: usize = self.waiting.iter().map(|w| w.corrections.len()).sum();
            let room = self.corrections.len() + waiting + self.body.corrections.len() < CORRECTIONS;
            if room && value.total_cmp(&f64::from_bits(stored)).is_gt() {
                self.body.corrections.insert((series.0, ts), bits);
                *self.body.refused.entry(Refusal::Duplicate).or_default() += 1;
                return Err(Refusal::Duplicate);
            }
            return self.refuse(row, Refusal::Duplicate);
        }
        let (oldest, behind) = self.oldest();
        let late = ts < oldest && ts < last.saturating_sub(behind);
        if late && last != i64::MIN && self.body.obey.is_none() {
            return self.refuse(row, Refusal::TooOld);
        }
        let epoch = self.series.registry.epoch;
        if let Some(slot) = self.series.slot_mut(series) {
            slot.epoch = epoch;
            slot.before = slot.before.max(ts);
        }
        self.append(series, ts, bits, last);
        Ok(())
    }

    /// From when on a row is taken that is not newer than its series or stream, and how far behind that an older one may
    /// be all the same.
    fn oldest(&self) -> (i64, i64) {
        let (received, lateness) = (Timestamp(self.body.received), self.limits.lateness);
        match self.body.reach {
            Reach::Lateness => (received.minus(lateness).0, i64::try_from(lateness.as_nanos()).unwrap_or(i64::MAX)),
            // As far back as the log goes: the question was asked a while before the answer came.
            Reach::Window => (received.minus(self.limits.window + lateness).0, 0),
        }
    }

    /// The bits of exactly this sample, wherever it is.
    fn stored_at(&mut self, series: u32, ts: i64) -> Option<u64> {
        let stored = self.tail.exact(series, ts).or_else(|| {
            let namespace = self.series.registry.meta(series)?.namespace_id;
            let near = self.chunks.of(namespace).iter().rev().filter(|c| c.min_ts <= ts && ts <= c.max_ts);
            let mut found = near.filter_map(|c| c.run_at(c.place(series)? as usize)?.asof(ts));
            found.find(|(t, _)| *t == ts).map(|(_, bits)| bits)
        })?;
        let key = (series, ts);
        let waiting = || self.waiting.iter().rev().find_map(|w| w.corrections.get(&key));
        let correction = self.body.corrections.get(&key).or_else(waiting).or_else(|| self.corrections.get(&key));
        Some(correction.copied().unwrap_or(stored))
    }

    /// Replay: a row of this series was kept, so it was within the cap then, and of the elected replica.
    fn let_in(&mut self) -> Result<SeriesId, Refusal> {
        let labels = std::mem::take(&mut self.body.over_cap);
        let limits = &self.limits.lifted();
        let mut stripped = Vec::new();
        let of_replica = self.replicas.was_elected(&labels, &mut stripped);
        let known = if of_replica { &stripped } else { &labels };
        let Self { names, namespaces, cluster, .. } = self;
        let found = self.series.resolve(known, &mut self.replicas, &mut Around { limits, names, namespaces, cluster });
        self.body.over_cap = labels;
        found
    }

    fn refuse(&mut self, row: u64, why: Refusal) -> Result<(), Refusal> {
        self.body.bitmap.set(row);
        *self.body.refused.entry(why).or_default() += 1;
        Err(why)
    }

    fn refuse_rows(&mut self, rows: u64, why: Refusal) {
        self.body.bitmap.set_range(self.body.row, rows);
        self.body.row += rows;
        *self.body.refused.entry(why).or_default() += rows;
    }
}

impl LogSink for Writer {
    fn stream(&mut self, labels: &[Pair<'_>], metadata: &[Pair<'_>]) -> Result<StreamId, Refusal> {
        let obeyed = self.body.obeyed(&self.limits);
        let Self { limits, names, namespaces, cluster, .. } = self;
        let around = &mut Around { limits: obeyed.as_ref().unwrap_or(limits), names, namespaces, cluster };
        let found = self.logs.streams.resolve(labels, metadata, around);
        let judged = matches!(found, Err(why) if why != Refusal::InvalidLabels);
        if judged
            && self.body.obey.is_some()
            && let Some(key) = self.logs.streams.last_key()
        {
            self.body.let_in = None;
            self.body.over_cap.clear();
            self.body.over_cap.extend_from_slice(key);
            return Ok(StreamId(NONE));
        }
        found
    }

    fn line(&mut self, stream: StreamId, ts: Timestamp, line: &str) -> Result<(), Refusal> {
        let row = self.body.row;
        self.body.row += 1;
        if let Some(obey) = &self.body.obey {
            if obey.get(row) {
                self.body.bitmap.set(row);
                return Err(REFUSED_BEFORE);
            }
        } else if is_another(ts.0, Timestamp(self.body.received), self.limits.window) {
            return self.refuse(row, Refusal::WrongUnit);
        }
        let mut stream = stream;
        if stream == StreamId(NONE) {
            let limits = &self.limits.lifted();
            let Self { names, namespaces, cluster, .. } = self;
            let around = &mut Around { limits, names, namespaces, cluster };
            let known = self.body.let_in;
            self.body.let_in = known.or_else(|| self.logs.streams.let_in(&self.body.over_cap, around));
            stream = StreamId(self.body.let_in.ok_or(Refusal::StreamLimit)?);
        }
        let (oldest, lateness) = self.oldest();
        let bounds = Bounds {
            oldest,
            newest: Timestamp(self.body.received).plus(self.limits.lateness).0,
            lateness,
            obey: self.body.obey.is_some(),
        };
        match self.logs.line(stream.0, ts.0, line, &bounds) {
            Ok(Kept::New) => self.body.stored += 1,
            Ok(Kept::Repeated) => self.body.repeated += 1,
            Err(why) => return self.refuse(row, why),
        }
        Ok(())
    }

    fn refused(&mut self, lines: u64, why: Refusal) {
        self.refuse_rows(lines, why);
    }
}

impl AlertSink for Writer {
    fn alert(&mut self, alert: Alert) -> Result<(), Refusal> {
        let row = self.body.row;
        self.body.row += 1;
        if let Some(obey) = &self.body.obey {
            if obey.get(row) {
                self.body.bitmap.set(row);
                return Err(REFUSED_BEFORE);
            }
        } else if self.body.alerts.len() >= alerts::IN_BODY {
            return self.refuse(row, Refusal::AlertLimit);
        }
        if self.alerts.has(&alert) {
            self.body.repeated += 1;
        } else {
            self.body.stored += 1;
            self.body.new_alerts += 1;
        }
        self.body.alerts.push(Arc::new(alert));
        Ok(())
    }

    fn refused(&mut self, alerts: u64, why: Refusal) {
        self.refuse_rows(alerts, why);
    }
}
