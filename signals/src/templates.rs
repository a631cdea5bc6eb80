//! The seam between the buffers, which store template ids, and the anomaly crate, which mines them.

use crate::{Team, TemplateId};

/// Gives each log line the id of its template. One tree a team: templates carry words of the lines.
pub trait Templates: Send {
    /// The template of `line` in the tree of `team`. The id does not depend on the order of arrival.
    fn template_of(&mut self, team: &Team, line: &str) -> TemplateId;
    /// The text of a template, variables as `<*>`.
    fn text(&self, team: &Team, id: TemplateId) -> Option<&str>;
}
