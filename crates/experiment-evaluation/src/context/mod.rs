//! [`Context`]: what an evaluation reads, as a view over the caller's own data.

#[cfg(feature = "serde_json")]
mod json;
mod path;
mod user;
mod value;
mod view;

pub use self::{path::Path, view::UserView};

/// What flags are evaluated against: an object that has a `user` and possibly `groups`, as the
/// official SDKs build it.
///
/// It is implemented for [`User`](experiment_model::User) and
/// [`UserView`] (nothing is built, fields are read in place), for
/// [`Value`](experiment_model::Value), and with the feature `serde_json` for
/// `serde_json::Value`. All of them give the same answers for the same data. Implement it to
/// evaluate a type of your own without copying it:
///
/// ```
/// use experiment_evaluation::{Context, Fields, Node, Options, Plan};
/// use experiment_model::read_flags;
///
/// struct Account { id: u64, plan: String }
///
/// impl Context for Account {
///     fn get(&self, key: &str) -> Node<'_> {
///         if key == "user" { Node::Object(self) } else { Node::Null }
///     }
///
///     fn for_each(&self, each: &mut dyn FnMut(&str, Node<'_>)) {
///         each("user", Node::Object(self));
///     }
/// }
///
/// impl Fields for Account {
///     fn get(&self, key: &str) -> Node<'_> {
///         match key {
///             "user_id" => Node::I64(self.id as i64),
///             "plan" => Node::Text(&self.plan),
///             _ => Node::Null,
///         }
///     }
///
///     fn for_each(&self, each: &mut dyn FnMut(&str, Node<'_>)) {
///         each("user_id", Node::I64(self.id as i64));
///         each("plan", Node::Text(&self.plan));
///     }
/// }
///
/// let flags = read_flags(br#"[{"key": "beta", "variants": {"on": {"key": "on", "value": "on"}},
///     "segments": [{"variant": "on", "conditions":
///         [[{"selector": ["context", "user", "plan"], "op": "is", "values": ["pro"]}]]}]}]"#)?;
/// let plan = Plan::compile(&flags, &Options::default());
/// let account = Account { id: 7, plan: "pro".to_string() };
/// assert!(plan.variant(&account, "beta").is_some_and(|variant| variant.is("on")));
/// # Ok::<(), experiment_model::ReadError>(())
/// ```
pub trait Context {
    /// What stands under `key`; [`Node::Null`] if nothing does.
    fn get(&self, key: &str) -> Node<'_>;

    /// Hands over every entry in order, for conditions on the context as a whole.
    fn for_each(&self, each: &mut dyn FnMut(&str, Node<'_>));

    /// What stands at the end of `path`; [`Node::Null`] if nothing does.
    ///
    /// The default walks from key to key. A type that knows where its user properties are can
    /// answer from [`Path::user_property`] and [`Path::user_field`] without a walk.
    fn select(&self, path: &Path) -> Node<'_> {
        let Some((first, rest)) = path.keys().split_first() else {
            return Node::Null;
        };
        Context::get(self, first).descend(rest)
    }
}

/// A borrowed value of a [`Context`].
#[derive(Clone, Copy, Default)]
#[non_exhaustive]
pub enum Node<'a> {
    /// Nothing, or JSON `null`: evaluation makes no difference.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer.
    I64(i64),
    /// Any other number.
    F64(f64),
    /// Text.
    Text(&'a str),
    /// A list.
    List(&'a dyn Elements),
    /// An object.
    Object(&'a dyn Fields),
    /// A set that can be asked but not listed, such as the cohorts a user is in.
    Members(&'a dyn Members),
}

impl<'a> Node<'a> {
    /// What stands at the end of `keys`, of which each but the last must be an object.
    pub fn descend<K: AsRef<str>>(self, keys: &[K]) -> Node<'a> {
        let mut node = self;
        for key in keys {
            let Node::Object(object) = node else {
                return Node::Null;
            };
            node = object.get(key.as_ref());
        }
        node
    }

    /// Whether there is nothing.
    pub fn is_null(self) -> bool {
        matches!(self, Node::Null)
    }
}

/// An object of a [`Context`].
pub trait Fields {
    /// What stands under `key`; [`Node::Null`] if nothing does.
    fn get(&self, key: &str) -> Node<'_>;

    /// Hands over every entry in order, to write the object as JSON text.
    fn for_each(&self, each: &mut dyn FnMut(&str, Node<'_>));
}

/// A list of a [`Context`].
pub trait Elements {
    /// How many elements there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element at `index`; [`Node::Null`] beyond the end.
    fn get(&self, index: usize) -> Node<'_>;
}

/// A set of texts that answers whether something is in it, without listing it.
///
/// Set operators and `is` / `is not` work on it as on a list of the same texts. All other
/// operators, and buckets, would have to read its members: they treat it as absent.
pub trait Members {
    /// How many members there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether `member` is one of them.
    fn contains(&self, member: &str) -> bool;
}
