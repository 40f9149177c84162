//! [`CapturedEvents`].

use super::script::{Answer, Script};
use crate::endpoints::paths;

/// The events that a fake service has accepted.
///
/// ```
/// use experiment_client::test_kit::{CapturedEvents, InMemoryTransport, Script};
///
/// let script = Script::new();
/// let events = CapturedEvents::of(&script);
/// let transport = InMemoryTransport::new(script);
/// // … build a client with it, evaluate, flush …
/// assert_eq!(events.all().len(), 0);
/// events.assert_no_duplicates();
/// # let _ = transport;
/// ```
#[derive(Clone, Debug)]
pub struct CapturedEvents(Script);

impl CapturedEvents {
    /// Lets the service of `script` accept every upload, and tells which events came.
    pub fn of(script: &Script) -> Self {
        let accepted = Answer::json(r#"{"code": 200}"#);
        script.on(paths::BATCH, accepted.clone());
        script.on(paths::HTTP_V2, accepted);
        Self(script.clone())
    }

    /// Every event of every upload, in order, as JSON. An upload that was repeated is in it twice.
    pub fn all(&self) -> Vec<serde_json::Value> {
        [paths::BATCH, paths::HTTP_V2]
            .into_iter()
            .flat_map(|path| self.0.requests_to(path))
            .filter_map(|received| received.json())
            .filter_map(
                |mut upload| match upload.get_mut("events").map(serde_json::Value::take) {
                    Some(serde_json::Value::Array(events)) => Some(events),
                    _ => None,
                },
            )
            .flatten()
            .collect()
    }

    /// The exposures as (user id, flag key, variant), an unset one without a variant.
    pub fn exposures(&self) -> Vec<(String, String, Option<String>)> {
        let text = |value: Option<&serde_json::Value>| Some(value?.as_str()?.to_owned());
        self.all()
            .iter()
            .filter_map(|event| {
                let properties = event.get("event_properties")?;
                (text(event.get("event_type"))? == "[Experiment] Exposure").then(|| {
                    (
                        text(event.get("user_id")).unwrap_or_default(),
                        text(properties.get("[Experiment] Flag Key")).unwrap_or_default(),
                        text(properties.get("[Experiment] Variant")),
                    )
                })
            })
            .collect()
    }

    /// Checks that a user was exposed to a variant of a flag.
    ///
    /// # Panics
    ///
    /// If not; the message lists the exposures there are.
    #[track_caller]
    pub fn assert_exposed(&self, user_id: &str, flag_key: &str, variant: &str) {
        let exposures = self.exposures();
        let is_meant = |(user, flag, shown): &(String, String, Option<String>)| {
            user == user_id && flag == flag_key && shown.as_deref() == Some(variant)
        };
        assert!(
            exposures.iter().any(is_meant),
            "{user_id} was not exposed to {flag_key} = {variant}, but these were: {exposures:?}"
        );
    }

    /// Checks that no two events have the same insert id.
    ///
    /// # Panics
    ///
    /// If two have.
    #[track_caller]
    pub fn assert_no_duplicates(&self) {
        let mut seen = std::collections::BTreeSet::new();
        for event in self.all() {
            let id = event.get("insert_id").map(ToString::to_string);
            assert!(
                seen.insert(id.clone()),
                "two events have the insert id {id:?}"
            );
        }
    }
}
