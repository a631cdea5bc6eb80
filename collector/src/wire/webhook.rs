//! An Alertmanager's webhook, version 4:
//! `{"version":"4","status":"firing","alerts":[{"status":"firing","labels":{},...}],"truncatedAlerts":0,...}`.
//!
//! Alert by alert, and of the labels only what says what it is about: how many there are costs nothing. What alerts of a
//! group have in common stands in each of them too, so only the alerts are read.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use whyd_signals::Timestamp;
use whyd_signals::alert::is_ours;
use whyd_signals::schema::Alert;
use whyd_signals::sink::{AlertSink, Counts, DecodeError, Refusal};

/// Bytes of a name, a label's value or a fingerprint; longer ones are cut.
const NAME: usize = 256;
/// Bytes of a summary; longer ones are cut.
const SUMMARY: usize = 1_000;
/// Bytes of a link; a longer one is left out.
const LINK: usize = 2_048;

/// Decodes a body. [`Counts::rows`] are the alerts that were in it, refused ones included.
///
/// # Errors
/// [`DecodeError::Malformed`], in one line; alerts handed over before it are the caller's to roll back.
pub fn decode(body: &[u8], sink: &mut impl AlertSink) -> Result<Counts, DecodeError> {
    let mut counts = Counts::default();
    let mut json = serde_json::Deserializer::from_slice(body);
    Notification { sink, counts: &mut counts }
        .deserialize(&mut json)
        .and_then(|()| json.end())
        .map_err(|e| DecodeError::Malformed(e.to_string().replace('\n', " ")))?;
    Ok(counts)
}

/// The whole body.
struct Notification<'s, S> {
    sink: &'s mut S,
    counts: &'s mut Counts,
}

impl<'de, S: AlertSink> DeserializeSeed<'de> for Notification<'_, S> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_map(self)
    }
}

impl<'de, S: AlertSink> Visitor<'de> for Notification<'_, S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a notification of an Alertmanager")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut version, mut alerts) = (false, false);
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match key.0.as_ref() {
                "version" => {
                    let Text(said) = map.next_value()?;
                    if said != "4" {
                        return Err(A::Error::custom(format!("version {:?} is not read, only \"4\"", cut(&said, 40))));
                    }
                    version = true;
                }
                "alerts" => {
                    alerts = true;
                    map.next_value_seed(Alerts { sink: &mut *self.sink, rows: &mut self.counts.rows })?;
                }
                "truncatedAlerts" => self.counts.truncated_alerts = map.next_value()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        match (version, alerts) {
            (true, true) => Ok(()),
            (false, _) => Err(A::Error::missing_field("version")),
            (true, false) => Err(A::Error::missing_field("alerts")),
        }
    }
}

struct Alerts<'s, S> {
    sink: &'s mut S,
    rows: &'s mut u64,
}

impl<'de, S: AlertSink> DeserializeSeed<'de> for Alerts<'_, S> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_seq(self)
    }
}

impl<'de, S: AlertSink> Visitor<'de> for Alerts<'_, S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of alerts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(told) = seq.next_element::<Told<'de>>()? {
            *self.rows += 1;
            match read(&told) {
                // a refusal is counted by the sink that makes it
                Ok(alert) => drop(self.sink.alert(alert)),
                Err(why) => self.sink.refused(1, why),
            }
        }
        Ok(())
    }
}

fn read(told: &Told<'_>) -> Result<Alert, Refusal> {
    let Told { labels, annotations, .. } = told;
    if labels.ours {
        return Err(Refusal::OwnAlert);
    }
    let starts_at = Timestamp::parse(&told.starts_at).filter(|_| !told.fingerprint.is_empty());
    let starts_at = starts_at.ok_or(Refusal::Incomplete)?;
    let ends_at = match told.status {
        // An Alertmanager writes the year 1 there.
        Status::Firing => None,
        Status::Resolved => Some(Timestamp::parse(&told.ends_at).ok_or(Refusal::Incomplete)?.max(starts_at)),
    };
    let name = |text: &Option<Cow<'_, str>>| cut(text.as_deref().unwrap_or_default(), NAME).to_owned();
    let (kind, object) = labels.object();
    let summary = annotations.0.iter().flatten().next().map_or("", AsRef::as_ref);
    let link = told.generator_url.as_ref();
    let is_link = link.len() <= LINK && (link.starts_with("http://") || link.starts_with("https://"));
    Ok(Alert {
        fingerprint: cut(&told.fingerprint, NAME).to_owned(),
        starts_at,
        ends_at,
        name: name(&labels.alertname),
        severity: name(&labels.severity),
        namespace: name(&labels.namespace),
        kind: kind.into(),
        object: cut(object, NAME).to_owned(),
        container: name(&labels.container),
        summary: cut(summary, SUMMARY).to_owned(),
        link: if is_link { link.to_owned() } else { String::new() },
    })
}

fn cut(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    status: Status,
    #[serde(borrow, default)]
    labels: Labels<'a>,
    #[serde(borrow, default)]
    annotations: Annotations<'a>,
    #[serde(borrow, default)]
    starts_at: Cow<'a, str>,
    #[serde(borrow, default)]
    ends_at: Cow<'a, str>,
    #[serde(borrow, default, rename = "generatorURL")]
    generator_url: Cow<'a, str>,
    #[serde(borrow, default)]
    fingerprint: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Firing,
    Resolved,
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Of the labels what says what the alert is about.
#[derive(Default)]
struct Labels<'a> {
    ours: bool,
    alertname: Option<Cow<'a, str>>,
    severity: Option<Cow<'a, str>>,
    namespace: Option<Cow<'a, str>>,
    pod: Option<Cow<'a, str>>,
    container: Option<Cow<'a, str>>,
    node: Option<Cow<'a, str>>,
    workload: Option<(&'static str, Cow<'a, str>)>,
}

impl<'a> Labels<'a> {
    fn take(&mut self, name: &str, value: Cow<'a, str>) {
        self.ours |= is_ours([(name, value.as_ref())]);
        let place = match name {
            "alertname" => &mut self.alertname,
            "severity" => &mut self.severity,
            "namespace" => &mut self.namespace,
            "pod" => &mut self.pod,
            "container" => &mut self.container,
            "node" => &mut self.node,
            _ => {
                // As kube-state-metrics names them.
                let kind = match name {
                    "deployment" => "Deployment",
                    "statefulset" => "StatefulSet",
                    "daemonset" => "DaemonSet",
                    "replicaset" => "ReplicaSet",
                    "job_name" => "Job",
                    _ => return,
                };
                self.workload = Some((kind, value));
                return;
            }
        };
        *place = Some(value);
    }

    /// A workload that is named comes first: the pod beside it may be that of whoever exports the metric.
    fn object(&self) -> (&'static str, &str) {
        let workload = self.workload.as_ref().map(|(kind, name)| (*kind, name.as_ref()));
        let others = [("Pod", &self.pod), ("Node", &self.node), ("Namespace", &self.namespace)];
        let other = || others.into_iter().find_map(|(kind, name)| name.as_deref().map(|name| (kind, name)));
        workload.or_else(other).unwrap_or_default()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Labels<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let mut labels = Self::default();
        d.deserialize_map(Pairs(|name: &str, value| labels.take(name, value)))?;
        Ok(labels)
    }
}

/// Of the annotations what can stand for all in one line, the best first.
#[derive(Default)]
struct Annotations<'a>([Option<Cow<'a, str>>; 3]);

impl<'de: 'a, 'a> Deserialize<'de> for Annotations<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let Self([mut summary, mut description, mut message]) = Self::default();
        d.deserialize_map(Pairs(|name: &str, value| match name {
            "summary" => summary = Some(value),
            "description" => description = Some(value),
            "message" => message = Some(value),
            _ => {}
        }))?;
        Ok(Self([summary, description, message]))
    }
}

/// An object of strings, pair by pair.
struct Pairs<F>(F);

impl<'de, F: FnMut(&str, Cow<'de, str>)> Visitor<'de> for Pairs<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, value)) = map.next_entry::<Text<'de>, Text<'de>>()? {
            (self.0)(&name.0, value.0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
