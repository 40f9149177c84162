//! [`Exposure`]: a user was exposed to one flag's variant; the form that servers send.

use core::fmt;

use experiment_model::{Object, Text, Timestamp, User, Value, Variant, Variants};

use crate::{
    event::Event,
    insert_id::{self, Fact, InsertIdFormat},
    name,
    options::EventOptions,
    result,
};

/// A user, a flag and the variant of it that the user was exposed to.
///
/// The event of a default variant takes the experiment user property back: it has no variant and an
/// `$unset` ("the user is no longer a part of the experiment"). The event of a mutual-exclusion group
/// changes no user property.
///
/// ```
/// use experiment_events::{EventOptions, Exposure};
/// use experiment_model::{Timestamp, User, Variant};
///
/// let user = User::new().with_user_id("123456789");
/// let variant = Variant::new("treatment");
/// let now = Timestamp::from_unix_millis(1_700_000_000_000);
/// let event = Exposure::new(&user, "my-experiment", &variant).to_event(now, 0, &EventOptions::default());
/// assert_eq!(
///     event.event_properties.to_string(),
///     r#"{"[Experiment] Flag Key":"my-experiment","[Experiment] Variant":"treatment"}"#,
/// );
/// ```
#[derive(Clone, Copy)]
pub struct Exposure<'a> {
    pub(crate) user: &'a User,
    pub(crate) flag_key: &'a str,
    pub(crate) variant: &'a Variant,
    results: Option<&'a Variants>,
}

impl<'a> Exposure<'a> {
    /// The exposure of `user` to `variant` of the flag `flag_key`.
    pub fn new(user: &'a User, flag_key: &'a str, variant: &'a Variant) -> Self {
        Self {
            user,
            flag_key,
            variant,
            results: None,
        }
    }

    /// Gives all results of the evaluation: the official SDKs make insert ids of them, so that
    /// [`InsertIdFormat::Compat`] needs them. Without them the flag stands alone.
    pub fn with_results(mut self, results: &'a Variants) -> Self {
        self.results = Some(results);
        self
    }

    /// The user.
    pub fn user(&self) -> &'a User {
        self.user
    }

    /// The key of the flag.
    pub fn flag_key(&self) -> &'a str {
        self.flag_key
    }

    /// The variant.
    pub fn variant(&self) -> &'a Variant {
        self.variant
    }

    /// Whether the flag wants exposures: `metadata.trackExposure` is not `false`.
    pub fn is_tracked(&self) -> bool {
        result::is_tracked(self.variant.metadata.as_ref())
    }

    /// Whether the official SDKs send nothing for this exposure, and `options` ask to do as they do:
    /// untracked flags always, default variants with [`InsertIdFormat::Compat`].
    ///
    /// Asked before [`DedupeFilter::check_exposure`](crate::DedupeFilter::check_exposure), it keeps
    /// the filter from knowing default variants: `on`, default, `on` is then one event, as with the
    /// SDKs, and not three.
    pub fn is_skipped(&self, options: &EventOptions) -> bool {
        let default = match options.insert_id {
            InsertIdFormat::V2 => false,
            InsertIdFormat::Compat(_) => self.variant.is_default(),
        };
        default || !self.is_tracked()
    }

    /// The event of the server form, at the time `now`. `transition` comes from
    /// [`Mark::transition`](crate::Mark::transition) and tells the same variant from its return after
    /// another one; it is 0 without a filter.
    pub fn to_event(&self, now: Timestamp, transition: u32, options: &EventOptions) -> Event {
        let variant = self.variant;
        let shown = result::variant_text(variant).filter(|_| !variant.is_default());
        let (mut set, mut unset) = (Object::new(), Object::new());
        if result::has_user_property(variant) {
            let property = || name::user_property(self.flag_key);
            if variant.is_default() {
                unset.insert(property(), name::UNSET_VALUE);
            } else if let Some(shown) = &shown {
                set.insert(property(), shown.clone());
            }
        }
        let property =
            |name: &str, value: Option<Value>| value.map(|value| (Text::new(name), value));
        let properties = [
            property(name::FLAG_KEY, Some(Value::from(self.flag_key))),
            property(name::VARIANT, shown.map(Value::Text)),
            property(
                name::EXPERIMENT_KEY,
                result::experiment_key(variant).cloned().map(Value::Text),
            ),
            property(name::METADATA, variant.metadata.clone().map(Value::Object)),
            property(
                name::ENVIRONMENT_NAME,
                options.environment_name.clone().map(Value::Text),
            ),
        ];
        let fact = Fact::Exposure {
            flag_key: self.flag_key,
            variant,
            results: self.results,
        };
        Event {
            event_type: Text::new(Event::EXPOSURE),
            user_id: result::user_id(self.user),
            device_id: result::device_id(self.user),
            time: Some(now),
            insert_id: Some(insert_id::insert_id(
                options.insert_id,
                self.user,
                fact,
                now,
                transition,
            )),
            event_properties: properties.into_iter().flatten().collect(),
            user_properties: [(name::SET, set), (name::UNSET, unset)]
                .into_iter()
                .collect(),
            groups: result::groups(self.user),
            extra: Object::new(),
        }
    }
}

impl fmt::Debug for Exposure<'_> {
    /// Shows the flag's key and the variant; the user shows no values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exposure")
            .field("user", self.user)
            .field("flag_key", &self.flag_key)
            .field("variant", &self.variant.key)
            .finish_non_exhaustive()
    }
}
