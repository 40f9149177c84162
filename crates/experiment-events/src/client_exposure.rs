//! [`ClientExposure`]: a user was exposed to one flag's variant; the form that clients send.

use experiment_model::{Object, Text, Timestamp, User, Value, Variant};
use serde::{Deserialize, Serialize};

use crate::{
    event::Event,
    insert_id::{self, Fact, InsertIdFormat},
    name,
    options::EventOptions,
    result,
};

/// An exposure as clients report it, to an app's tracking provider or as the event `$exposure`, which
/// ingestion transforms ([`transform`](crate::transform)).
///
/// Without a variant the experiment user property is unset.
///
/// ```
/// use experiment_events::ClientExposure;
/// use experiment_model::Variant;
///
/// let exposure = ClientExposure::new("my-experiment", &Variant::new("treatment"));
/// assert_eq!(
///     serde_json::to_string(&exposure)?,
///     r#"{"flag_key":"my-experiment","variant":"treatment"}"#,
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClientExposure {
    /// The flag's key.
    pub flag_key: Text,
    /// What the user saw; none unsets the experiment user property.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<Text>,
    /// The experiment, which tells two runs on one flag apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment_key: Option<Text>,
    /// The metadata of the variant, as evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Object>,
}

impl ClientExposure {
    /// The exposure to a variant that was fetched or evaluated; a default variant unsets.
    pub fn new(flag_key: impl Into<Text>, variant: &Variant) -> Self {
        Self {
            variant: result::variant_text(variant).filter(|_| !variant.is_default()),
            ..Self::fallback(flag_key, variant)
        }
    }

    /// The exposure to a fallback variant while the flag is known to give its default variant: it
    /// unsets. A fallback of a flag of which nothing is known is no exposure.
    pub fn fallback(flag_key: impl Into<Text>, variant: &Variant) -> Self {
        Self {
            flag_key: flag_key.into(),
            variant: None,
            experiment_key: result::experiment_key(variant).cloned(),
            metadata: variant.metadata.clone(),
        }
    }

    /// Whether the flag wants exposures: `metadata.trackExposure` is not `false`.
    pub fn is_tracked(&self) -> bool {
        result::is_tracked(self.metadata.as_ref())
    }

    /// Whether this is a `$impression`, of which each one counts.
    pub fn is_impression(&self) -> bool {
        self.event_type() == Event::IMPRESSION
    }

    /// The type of the event: `metadata.exposureEvent`, else `$impression` if
    /// `metadata.deliveryMethod` is `web`, else `$exposure`.
    pub fn event_type(&self) -> &str {
        let text = |key| self.metadata.as_ref()?.get(key)?.as_str();
        match (text("exposureEvent"), text("deliveryMethod")) {
            (Some(event), _) if !event.is_empty() => event,
            (_, Some("web")) => Event::IMPRESSION,
            _ => Event::CLIENT_EXPOSURE,
        }
    }

    /// The event of `user`, at the time `now`. `transition` as for
    /// [`Exposure::to_event`](crate::Exposure::to_event).
    ///
    /// The insert id is always of the format [`InsertIdFormat::V2`] (official clients leave it to the
    /// analytics SDK, which takes a random one) and equals that of the same exposure in the server
    /// form. A `$impression` has none, because each one counts: the sender adds a random one.
    pub fn to_event(
        &self,
        user: &User,
        now: Timestamp,
        transition: u32,
        options: &EventOptions,
    ) -> Event {
        let property =
            |name: &str, value: Option<Value>| value.map(|value| (Text::new(name), value));
        let properties = [
            property(
                name::client::FLAG_KEY,
                Some(Value::Text(self.flag_key.clone())),
            ),
            property(name::client::VARIANT, self.variant.clone().map(Value::Text)),
            property(
                name::client::EXPERIMENT_KEY,
                self.experiment_key.clone().map(Value::Text),
            ),
            property(name::METADATA, self.metadata.clone().map(Value::Object)),
            property(
                name::ENVIRONMENT_NAME,
                options.environment_name.clone().map(Value::Text),
            ),
        ];
        let fact = Fact::ClientExposure(self);
        let insert_id = (!self.is_impression())
            .then(|| insert_id::insert_id(InsertIdFormat::V2, user, fact, now, transition));
        Event {
            event_type: Text::new(self.event_type()),
            user_id: result::user_id(user),
            device_id: result::device_id(user),
            time: Some(now),
            insert_id,
            event_properties: properties.into_iter().flatten().collect(),
            user_properties: Object::new(),
            groups: result::groups(user),
            extra: Object::new(),
        }
    }
}
