//! [`Assignment`]: what a user was assigned, for all flags of one evaluation.

use alloc::vec::Vec;
use core::fmt::{self, Write};

use experiment_model::{Object, Text, Timestamp, User, Value, Variant, Variants};

use crate::{
    event::Event,
    insert_id::{self, Fact},
    name,
    options::{EventOptions, PropertyNames},
    result,
    text_builder::TextBuilder,
};

/// What the document gives `.variant` when nothing was assigned.
const NOTHING_ASSIGNED: &str = "off";

/// A user and what one evaluation assigned to them: one event for all flags.
///
/// ```
/// use experiment_events::{Assignment, EventOptions};
/// use experiment_model::{Timestamp, User, Variant, Variants};
///
/// let user = User::new().with_user_id("123456789");
/// let variants = Variants::from_iter([("my-experiment", Variant::new("treatment"))]);
/// let assignment = Assignment::new(&user, &variants).expect("there is a variant");
/// let now = Timestamp::from_unix_millis(1_700_000_000_000);
/// let event = assignment.to_event(now, 0, &EventOptions::default());
/// assert_eq!(
///     event.user_properties.to_string(),
///     r#"{"$set":{"[Experiment] my-experiment":"treatment"},"$unset":{}}"#,
/// );
/// ```
#[derive(Clone, Copy)]
pub struct Assignment<'a> {
    pub(crate) user: &'a User,
    pub(crate) variants: &'a Variants,
}

impl<'a> Assignment<'a> {
    /// The assignment of `variants`, keyed by flag, to `user`; none if there are no variants.
    pub fn new(user: &'a User, variants: &'a Variants) -> Option<Self> {
        (!variants.is_empty()).then_some(Self { user, variants })
    }

    /// The user.
    pub fn user(&self) -> &'a User {
        self.user
    }

    /// What was assigned, by flag.
    pub fn variants(&self) -> &'a Variants {
        self.variants
    }

    /// The event, at the time `now`. `transition` comes from [`Mark::transition`](crate::Mark::transition)
    /// and tells the same result from its return after another one; it is 0 without a filter.
    pub fn to_event(&self, now: Timestamp, transition: u32, options: &EventOptions) -> Event {
        let prefixed = match options.property_names {
            PropertyNames::Documented => true,
            PropertyNames::Sdk => false,
        };
        let flags = self.variants.len();
        let mut properties: Vec<(Text, Value)> = Vec::with_capacity(flags.saturating_mul(2));
        let (mut set, mut unset) = (Vec::with_capacity(flags), Vec::new());
        for (flag_key, variant) in self.variants.iter() {
            let assigned = if prefixed {
                result::variant_text(variant)
            } else if let Some(key) = variant.key.clone().filter(|key| !key.is_empty()) {
                Some(key)
            } else {
                continue;
            };
            let shown = assigned.clone().unwrap_or(Text::new(NOTHING_ASSIGNED));
            let property = |part| name::assignment_property(prefixed, flag_key, part);
            properties.push((property(".variant"), Value::Text(shown)));
            if let Some(details) = details(variant) {
                properties.push((property(".details"), Value::Text(details)));
            }
            if !result::has_user_property(variant) {
                continue;
            }
            match assigned.filter(|_| !variant.is_default()) {
                Some(assigned) => set.push((name::user_property(flag_key), assigned)),
                None => unset.push((name::user_property(flag_key), name::UNSET_VALUE)),
            }
        }
        if let Some(environment) = &options.environment_name {
            let name = Text::new(name::ENVIRONMENT_NAME);
            properties.push((name, Value::Text(environment.clone())));
        }
        let operations: [(&str, Object); 2] = [
            (name::SET, set.into_iter().collect()),
            (name::UNSET, unset.into_iter().collect()),
        ];
        let fact = Fact::Assignment(self.variants);
        Event {
            event_type: Text::new(Event::ASSIGNMENT),
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
            event_properties: properties.into_iter().collect(),
            user_properties: operations.into_iter().collect(),
            groups: result::groups(self.user),
            extra: Object::new(),
        }
    }
}

impl fmt::Debug for Assignment<'_> {
    /// Shows the flags' keys; the user shows no values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Keys<'a>(&'a Variants);

        impl fmt::Debug for Keys<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_list()
                    .entries(self.0.iter().map(|(key, _)| key))
                    .finish()
            }
        }

        f.debug_struct("Assignment")
            .field("user", self.user)
            .field("flags", &Keys(self.variants))
            .finish()
    }
}

/// `v<flagVersion> rule:<segmentName>`, when both are known.
fn details(variant: &Variant) -> Option<Text> {
    let mut text = TextBuilder::new();
    text.push("v");
    match variant.metadata_value("flagVersion")? {
        Value::I64(version) => write!(text, "{version}").ok()?,
        // Integers in plain decimal, whatever their token was.
        Value::F64(version) => write!(text, "{version}").ok()?,
        Value::Text(version) => text.push(version),
        Value::Null | Value::Bool(_) | Value::List(_) | Value::Object(_) => return None,
    }
    text.push(" rule:");
    text.push(variant.metadata_value("segmentName")?.as_str()?);
    Some(text.finish())
}
