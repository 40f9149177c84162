//! [`EventOptions`]: how events are written.

use experiment_model::Text;

use crate::insert_id::InsertIdFormat;

/// How the properties of an assignment event are spelled.
///
/// The document on event tracking and the official SDKs disagree. Ingestion is said to add the
/// prefix, so that towards Amplitude the SDKs' spelling is the safe one: seeing both in one project
/// would split a property in two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PropertyNames {
    /// `[Experiment] <flag_key>.variant`, as the document on event tracking shows it: the value is
    /// the variant's key, else its value, else `off`.
    #[default]
    Documented,
    /// `<flag_key>.variant`, as the official SDKs send it: a flag whose variant has no key is left
    /// out.
    Sdk,
}

/// How events are written. By default as documented, with collision-safe insert ids.
///
/// ```
/// use experiment_events::{EventOptions, InsertIdFormat, PropertyNames, Sdk};
///
/// // Beside services that use the official SDK for Node.js:
/// let options = EventOptions::default()
///     .with_property_names(PropertyNames::Sdk)
///     .with_insert_id(InsertIdFormat::Compat(Sdk::Node));
/// assert_eq!(options.environment_name, None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventOptions {
    /// How the properties of assignment events are spelled. Default: as documented.
    pub property_names: PropertyNames,
    /// How insert ids are made. Default: [`InsertIdFormat::V2`].
    pub insert_id: InsertIdFormat,
    /// Written as the event property `[Experiment] Environment Name`, if it is given. Default: none;
    /// no official SDK sends it.
    pub environment_name: Option<Text>,
}

impl EventOptions {
    /// Sets how the properties of assignment events are spelled.
    pub fn with_property_names(mut self, names: PropertyNames) -> Self {
        self.property_names = names;
        self
    }

    /// Sets how insert ids are made.
    pub fn with_insert_id(mut self, format: InsertIdFormat) -> Self {
        self.insert_id = format;
        self
    }

    /// Sets the name of the environment, such as `production`.
    pub fn with_environment_name(mut self, name: impl Into<Text>) -> Self {
        self.environment_name = Some(name.into());
        self
    }
}
