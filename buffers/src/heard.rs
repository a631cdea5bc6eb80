//! Of which times anything was heard of log lines: whether silence is a program's or that of what should have sent its lines.

use whyd_signals::{Access, Timestamp};

use crate::logs::Seconds;
use crate::scoped::Scoped;

impl Scoped {
    /// In which seconds lines were written. They are those of all teams, so only who may see all is told.
    pub fn lines_heard(&self) -> Option<&Seconds> {
        (*self.access() == Access::All).then_some(&*self.snapshot.seconds)
    }

    /// When the newest line of a namespace was written.
    pub fn newest_line_of(&self, namespace: &str) -> Option<Timestamp> {
        let number = self.snapshot.namespaces.iter().position(|name| **name == *namespace)?;
        if !self.sees_named(namespace) {
            return None;
        }
        self.snapshot.seconds.newest_of(u32::try_from(number).ok()?)
    }

    /// Whether a container has any log stream.
    pub fn has_logs_of(&self, namespace: &str, pod: &str, container: &str) -> bool {
        !self.streams_of(namespace, pod, container).is_empty()
    }
}
