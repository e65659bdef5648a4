//! For people or for programs.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::report::{JsonReporter, Reporter, TextReporter};

/// For people or for programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Format {
    /// The reporter of a conversation. `colours`: whether there are any.
    pub fn reporter(self, colours: bool) -> Box<dyn Reporter> {
        match self {
            Self::Text => Box::new(TextReporter::new(colours)),
            Self::Json => Box::new(JsonReporter),
        }
    }
}
