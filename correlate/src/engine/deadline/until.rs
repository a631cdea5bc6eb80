//! The deadline of a query, where functions that may take long for one row find it.

use std::any::Any;

use datafusion::common::config::{ConfigEntry, ConfigExtension, ExtensionOptions};
use datafusion::common::plan_err;
use datafusion::error::Result;
use tokio::time::Instant;

/// An extension of the session's options.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Until(pub(in crate::engine) Instant);

impl ConfigExtension for Until {
    const PREFIX: &'static str = "until";
}

impl ExtensionOptions for Until {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, _: &str) -> Result<()> {
        plan_err!("{key} is no setting")
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}
