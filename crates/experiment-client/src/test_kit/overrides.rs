//! [`Overrides`].

use std::collections::BTreeMap;

use experiment_model::{
    Condition, Flag, FlagSet, Object, Operator, Segment, Selector, Text, Variant,
};

/// Gives flags, or single users, variants of the test's choice.
///
/// They become segments in front of those of the flag, so that evaluation, explanation, tracking
/// and flags that depend on the flag all see them. A flag that the configuration does not have is
/// added. They are used whenever the client takes flags into use: set them before it is built.
///
/// ```
/// use experiment_client::{LocalClient, Updates, test_kit::Overrides};
/// use experiment_model::{User, Variant};
///
/// let overrides = Overrides::new()
///     .with_flag("search", Variant::new("on"))
///     .with_user("user-2", "search", Variant::new("off"));
/// let client = LocalClient::builder("key")
///     .updates(Updates::Off)
///     .bootstrap("[]")
///     .overrides(overrides)
///     .build()?;
/// assert!(client.variant(&User::new().with_user_id("user-1"), "search").unwrap().is("on"));
/// assert!(client.variant(&User::new().with_user_id("user-2"), "search").unwrap().is("off"));
/// # Ok::<(), experiment_client::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Overrides(BTreeMap<Text, Override>);

#[derive(Clone, Debug, Default)]
struct Override {
    users: Vec<(Text, Variant)>,
    everyone: Option<Variant>,
}

impl Overrides {
    /// No overrides.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every user gets `variant` of the flag.
    #[must_use]
    pub fn with_flag(mut self, flag_key: impl Into<Text>, variant: Variant) -> Self {
        self.0.entry(flag_key.into()).or_default().everyone = Some(variant);
        self
    }

    /// The user with this user id gets `variant` of the flag, whatever everyone else gets.
    #[must_use]
    pub fn with_user(
        mut self,
        user_id: impl Into<Text>,
        flag_key: impl Into<Text>,
        variant: Variant,
    ) -> Self {
        let flag = self.0.entry(flag_key.into()).or_default();
        flag.users.push((user_id.into(), variant));
        self
    }

    /// Changes the flags.
    pub(crate) fn apply(&self, set: &mut FlagSet) {
        for (flag_key, change) in &self.0 {
            if !set.flags.iter().any(|flag| flag.key == *flag_key) {
                set.flags.push(Flag {
                    key: flag_key.clone(),
                    ..Flag::default()
                });
            }
            for flag in set.flags.iter_mut().filter(|flag| flag.key == *flag_key) {
                change.apply(flag);
            }
        }
    }
}

impl Override {
    fn apply(&self, flag: &mut Flag) {
        let users = self.users.iter().map(|(id, variant)| (Some(id), variant));
        let everyone = self.everyone.iter().map(|variant| (None, variant));
        let segments: Vec<Segment> = users
            .chain(everyone)
            .enumerate()
            .map(|(at, (user_id, variant))| {
                // A key of its own: the flag may have another variant of the same name.
                let name = Text::from(format!("override {at}"));
                flag.variants.insert(name.clone(), variant.clone());
                segment(user_id, name)
            })
            .collect();
        flag.segments.splice(0..0, segments);
    }
}

fn segment(user_id: Option<&Text>, variant: Text) -> Segment {
    let mut metadata = Object::new();
    metadata.insert("segmentName", "override");
    Segment {
        conditions: user_id.map(|id| {
            vec![vec![Condition {
                selector: Selector::from_iter(["context", "user", "user_id"]),
                operator: Operator::Is,
                values: vec![id.clone()],
            }]]
        }),
        variant: Some(variant),
        metadata: Some(metadata),
        ..Segment::default()
    }
}
