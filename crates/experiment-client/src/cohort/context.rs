//! [`Enriched`]: a user together with the cohorts that are known.

use experiment_evaluation::{Context, Fields, Members, Node, Path};
use experiment_model::{Group, Groups, User, Value};
use hashbrown::HashSet;
use smallvec::SmallVec;

use super::{parse::USER, store::CohortStore};

/// How many groups of a user find room without an allocation: Amplitude has up to five group types.
const GROUPS: usize = 5;

/// Up to this length a list of the caller's own cohort ids is compared each with each.
const SHORT: usize = 64;

/// A user as flags are to see them: `user.cohort_ids` has the cohorts of the store that contain the
/// user's `user_id` besides the user's own, and `groups.<type>.cohort_ids` those that contain the
/// first group name of the type. Everything else is the user's.
///
/// Nothing is copied, and the user stays as it is. The ids are a set that can be asked and not
/// listed ([`Node::Members`]), so set operators, `is` and `is not` see them and other operators see
/// nothing; the user as a whole, as text, shows the user's own ids only. For a type of which the
/// store has no cohort, or a user without that id or group, all is as without the store. A user in
/// no cohort has an empty set.
///
/// ```
/// use experiment_client::{Cohort, CohortStore, Enriched};
/// use experiment_evaluation::{Options, Plan};
/// use experiment_model::{Timestamp, User};
///
/// let plan = Plan::from_json(br#"[{"key": "beta", "variants": {"on": {"key": "on", "value": "on"}},
///     "segments": [{"variant": "on", "conditions":
///         [[{"selector": ["context", "user", "cohort_ids"], "op": "set contains any", "values": ["c1"]}]]}]}]"#,
///     &Options::default())?;
/// let now = Timestamp::from_unix_millis(1_700_000_000_000);
/// let cohort = Cohort::new("User", ["user-1"].into_iter().collect(), now);
/// let store = CohortStore::from_iter([("c1", cohort)]);
///
/// let user = User::new().with_user_id("user-1");
/// assert!(plan.variant(&Enriched::new(&user, &store), "beta").is_some());
/// assert!(plan.variant(&user, "beta").is_none());
/// # Ok::<(), experiment_model::ReadError>(())
/// ```
pub struct Enriched<'a> {
    user: &'a User,
    /// `None` if the user's own ids are all there is.
    member: Option<Membership<'a>>,
    groups: EnrichedGroups<'a>,
}

/// `groups`: those of a type that has cohorts, and all.
struct EnrichedGroups<'a> {
    all: &'a Groups,
    members: SmallVec<[Membership<'a>; GROUPS]>,
}

/// Somebody who may be in cohorts: the user or one of the groups.
struct Membership<'a> {
    /// The object whose `cohort_ids` this is.
    plain: &'a dyn Fields,
    /// The cohorts that the caller says.
    own: &'a [Value],
    group_type: &'a str,
    name: &'a str,
    store: &'a CohortStore,
}

impl<'a> Enriched<'a> {
    /// A view of `user` with the cohorts of `store`.
    pub fn new(user: &'a User, store: &'a CohortStore) -> Self {
        let member = user
            .user_id()
            .filter(|_| store.has_group_type(USER))
            .map(|name| Membership {
                plain: user,
                own: user
                    .cohort_ids()
                    .and_then(Value::as_list)
                    .unwrap_or_default(),
                group_type: USER,
                name,
                store,
            });
        let groups = user.groups();
        let members = groups.iter().filter_map(|group| of_group(group, store));
        Self {
            user,
            member,
            groups: EnrichedGroups {
                all: groups,
                members: members.collect(),
            },
        }
    }
}

fn of_group<'a>(group: &'a Group, store: &'a CohortStore) -> Option<Membership<'a>> {
    let name = group.name()?;
    store.has_group_type(&group.group_type).then(|| Membership {
        plain: group,
        own: group
            .name_cohort_ids()
            .and_then(Value::as_list)
            .unwrap_or_default(),
        group_type: &group.group_type,
        name,
        store,
    })
}

impl Context for Enriched<'_> {
    fn get(&self, key: &str) -> Node<'_> {
        match (key, &self.member) {
            ("user", Some(member)) => Node::Object(member),
            ("groups", _) if !self.groups.members.is_empty() => Node::Object(&self.groups),
            _ => Context::get(self.user, key),
        }
    }

    fn for_each(&self, each: &mut dyn FnMut(&str, Node<'_>)) {
        Context::for_each(self.user, each);
    }

    #[inline]
    fn select(&self, path: &Path) -> Node<'_> {
        if path.user_property().is_some() || path.user_field().is_some() {
            return self.user.select(path);
        }
        match path.keys() {
            [first, rest @ ..] => Context::get(self, first).descend(rest),
            [] => Node::Null,
        }
    }
}

impl Fields for EnrichedGroups<'_> {
    fn get(&self, key: &str) -> Node<'_> {
        let member = self.members.iter().find(|it| it.group_type == key);
        member.map_or_else(|| Fields::get(self.all, key), |member| Node::Object(member))
    }

    fn for_each(&self, each: &mut dyn FnMut(&str, Node<'_>)) {
        Fields::for_each(self.all, each);
    }
}

impl Fields for Membership<'_> {
    fn get(&self, key: &str) -> Node<'_> {
        match key {
            "cohort_ids" => Node::Members(self),
            _ => self.plain.get(key),
        }
    }

    fn for_each(&self, each: &mut dyn FnMut(&str, Node<'_>)) {
        self.plain.for_each(each);
    }
}

impl Members for Membership<'_> {
    fn len(&self) -> usize {
        let synced = self.store.iter().filter(|(id, _)| {
            self.store.is_in(id, self.group_type, self.name) && !says(self.own, id)
        });
        distinct(self.own).saturating_add(synced.count())
    }

    fn contains(&self, id: &str) -> bool {
        says(self.own, id) || self.store.is_in(id, self.group_type, self.name)
    }
}

fn says(own: &[Value], id: &str) -> bool {
    own.iter().any(|value| value.as_str() == Some(id))
}

/// How many different texts there are. Only operators that no cohort condition has need it.
fn distinct(own: &[Value]) -> usize {
    if own.len() > SHORT {
        let texts: HashSet<&str> = own.iter().filter_map(Value::as_str).collect();
        return texts.len();
    }
    let mut rest = own;
    let mut count: usize = 0;
    while let Some((first, others)) = rest.split_first() {
        count = count.saturating_add(usize::from(!others.contains(first)));
        rest = others;
    }
    count
}

/// Tells nothing of the user.
impl std::fmt::Debug for Enriched<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enriched").finish_non_exhaustive()
    }
}
