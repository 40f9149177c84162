//! What events and their properties are called on the wire.

use experiment_model::Text;

use crate::text_builder::TextBuilder;

/// Begins the name of everything that belongs to an experiment after ingestion.
const PREFIX: &str = "[Experiment] ";

pub(crate) const FLAG_KEY: &str = "[Experiment] Flag Key";
pub(crate) const VARIANT: &str = "[Experiment] Variant";
pub(crate) const EXPERIMENT_KEY: &str = "[Experiment] Experiment Key";
pub(crate) const ENVIRONMENT_NAME: &str = "[Experiment] Environment Name";
pub(crate) const METADATA: &str = "metadata";

/// Properties of the client's `$exposure`, before ingestion renames them.
pub(crate) mod client {
    pub(crate) const FLAG_KEY: &str = "flag_key";
    pub(crate) const VARIANT: &str = "variant";
    pub(crate) const EXPERIMENT_KEY: &str = "experiment_key";
}

/// The operations on user properties.
pub(crate) const SET: &str = "$set";
pub(crate) const UNSET: &str = "$unset";
/// What the server SDKs give `$unset`; ingestion looks at the name only.
pub(crate) const UNSET_VALUE: &str = "-";

/// The experiment user property of a flag: `[Experiment] <flag_key>`.
pub(crate) fn user_property(flag_key: &str) -> Text {
    join(&[PREFIX, flag_key])
}

/// The event property `<flag_key>.<part>` of an assignment, with the prefix if it is `prefixed`.
pub(crate) fn assignment_property(prefixed: bool, flag_key: &str, part: &str) -> Text {
    join(&[if prefixed { PREFIX } else { "" }, flag_key, part])
}

fn join(parts: &[&str]) -> Text {
    let mut text = TextBuilder::new();
    for part in parts {
        text.push(part);
    }
    text.finish()
}
