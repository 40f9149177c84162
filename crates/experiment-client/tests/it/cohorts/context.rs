//! Users with the cohorts that are known.

use std::collections::BTreeSet;

use experiment_client::{Cohort, CohortStore, Enriched};
use experiment_evaluation::{Options, Plan};
use experiment_model::{Operator, Timestamp, User};
use proptest::prelude::*;
use serde_json::{Value, json};

const IDS: [&str; 6] = ["c0", "c1", "c2", "g0", "true", "TRUE"];

fn store(cohorts: &[(&str, &str, Vec<&str>)]) -> CohortStore {
    cohorts
        .iter()
        .map(|(id, group_type, members)| {
            let members = members.iter().collect();
            (*id, Cohort::new(*group_type, members, Timestamp::default()))
        })
        .collect()
}

fn plan(conditions: &[(Value, &str, Vec<&str>)]) -> Plan {
    let flags: Vec<Value> = conditions
        .iter()
        .enumerate()
        .map(|(number, (selector, operator, values))| {
            json!({"key": format!("f{number}"), "variants": {"on": {"key": "on", "value": "on"}}, "segments": [
                {"variant": "on", "conditions": [[{"selector": selector, "op": operator, "values": values}]]}
            ]})
        })
        .collect();
    Plan::from_json(json!(flags).to_string().as_bytes(), &Options::default()).expect("flags")
}

fn holds(plan: &Plan, user: &User, store: &CohortStore) -> Vec<bool> {
    let context = Enriched::new(user, store);
    plan.flags()
        .map(|flag| flag.variant(&context).is_some())
        .collect()
}

fn holds_plainly(plan: &Plan, user: &User) -> Vec<bool> {
    plan.flags()
        .map(|flag| flag.variant(user).is_some())
        .collect()
}

fn user_cohorts() -> Value {
    json!(["context", "user", "cohort_ids"])
}

fn org_cohorts() -> Value {
    json!(["context", "groups", "org name", "cohort_ids"])
}

#[test]
fn the_golden_user_is_in_both_cohorts_and_stays_as_it_was() {
    let golden: Value = serde_json::from_str(include_str!("../../golden/cohorts.json"))
        .expect("the golden file is JSON");
    let cohorts = golden["response_bodies"].as_array().expect("bodies");
    let store: CohortStore = cohorts
        .iter()
        .map(|body| {
            let members = body["memberIds"].as_array().expect("ids").iter();
            let members = members.map(|id| id.as_str().expect("an id")).collect();
            let group_type = body["groupType"].as_str().expect("a type");
            let cohort = Cohort::new(group_type, members, Timestamp::default());
            (body["cohortId"].as_str().expect("an id"), cohort)
        })
        .collect();
    let before: User =
        serde_json::from_value(golden["enrichment"]["user_before"].clone()).expect("a user");
    let after: User =
        serde_json::from_value(golden["enrichment"]["user_after_node"].clone()).expect("a user");
    let plan = plan(&[
        (user_cohorts(), "set contains any", vec!["c1aaaaaa"]),
        (user_cohorts(), "set contains any", vec!["g1bbbbbb"]),
        (user_cohorts(), "set is", vec!["c1aaaaaa"]),
        (org_cohorts(), "set contains any", vec!["g1bbbbbb"]),
        (org_cohorts(), "set does not contain any", vec!["c1aaaaaa"]),
    ]);
    let user = before.clone();
    assert_eq!(holds(&plan, &user, &store), [true, false, true, true, true]);
    assert_eq!(
        holds_plainly(&plan, &after),
        [true, false, true, true, true]
    );
    assert_eq!(user, before);
}

#[test]
fn membership_is_of_the_user_id_and_of_the_first_group_name() {
    let store = store(&[
        ("c", "User", vec!["u", "A"]),
        ("g", "org name", vec!["A", "u"]),
    ]);
    let plan = plan(&[
        (user_cohorts(), "set contains any", vec!["c"]),
        (user_cohorts(), "set contains any", vec!["g"]),
        (org_cohorts(), "set contains any", vec!["g"]),
        (org_cohorts(), "set contains any", vec!["c"]),
    ]);
    for (user, expected) in [
        (json!({"user_id": "u"}), [true, false, false, false]),
        (json!({"device_id": "u"}), [false; 4]),
        (
            json!({"user_id": "x", "groups": {"org name": ["A", "B"]}}),
            [false, false, true, false],
        ),
        (
            json!({"user_id": "x", "groups": {"org name": ["B", "A"]}}),
            [false; 4],
        ),
        (
            json!({"user_id": "x", "groups": {"team": ["A"]}}),
            [false; 4],
        ),
        (json!({"groups": {"org name": []}}), [false; 4]),
    ] {
        let user: User = serde_json::from_value(user).expect("a user");
        assert_eq!(holds(&plan, &user, &store), expected, "{user:?}");
    }
}

#[test]
fn more_groups_than_there_is_room_for_are_all_seen() {
    let types: Vec<String> = (0..12).map(|number| format!("type {number}")).collect();
    let cohorts: Vec<(&str, &str, Vec<&str>)> = types
        .iter()
        .map(|it| (it.as_str(), it.as_str(), vec!["A"]))
        .collect();
    let store = store(&cohorts);
    let user = types
        .iter()
        .fold(User::new(), |user, it| user.with_group(it.as_str(), "A"));
    let conditions: Vec<_> = types
        .iter()
        .map(|it| {
            (
                json!(["context", "groups", it, "cohort_ids"]),
                "set contains any",
                vec![it.as_str()],
            )
        })
        .collect();
    assert_eq!(holds(&plan(&conditions), &user, &store), vec![true; 12]);
}

#[test]
fn asking_allocates_nothing() {
    let store = store(&[("c", "User", vec!["u"]), ("g", "org name", vec!["A"])]);
    let plan = plan(&[
        (user_cohorts(), "set contains any", vec!["c", "d", "e"]),
        (org_cohorts(), "set does not contain any", vec!["g"]),
    ]);
    let user = User::new()
        .with_user_id("u")
        .with_group("org name", "A")
        .with_cohort_ids(["x"]);
    let counted = allocation_counter::measure(|| {
        let context = Enriched::new(&user, &store);
        assert!(plan.variant(&context, "f0").is_some());
        assert!(plan.variant(&context, "f1").is_none());
    });
    assert_eq!(counted.count_total, 0);
}

fn ids() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(IDS.to_vec()), 0..5)
}

fn any_user() -> impl Strategy<Value = User> {
    let texts = || prop::sample::select(vec!["u", "A", "B", "[\"c0\"]", ""]);
    (
        prop::option::of(texts()),
        prop::option::of(ids()),
        prop::option::of(texts()),
        prop::option::of(ids()),
        prop::option::of(texts()),
        prop::option::of(ids()),
    )
        .prop_map(|(user_id, own, group, group_own, other_group, many)| {
            let mut user = User::new().with_user_property("p", "A");
            if let Some(id) = user_id {
                user = user.with_user_id(id);
            }
            if let Some(own) = own {
                user = user.with_cohort_ids(own);
            }
            if let Some(name) = group {
                user = user.with_group("org name", name);
                if let Some(own) = group_own {
                    user = user.with_group_cohort_ids("org name", name, own);
                }
            }
            if let Some(name) = other_group {
                user = user.with_group("team", name);
            }
            // Long lists, with every id many times.
            if let Some(ids) = many.filter(|ids| ids.len() == 4) {
                user = user.with_cohort_ids(ids.repeat(30));
            }
            user
        })
}

fn any_store(types: &'static [&'static str]) -> impl Strategy<Value = CohortStore> {
    let cohort = (
        prop::sample::select(IDS.to_vec()),
        prop::sample::select(types.to_vec()),
        prop::collection::vec(prop::sample::select(vec!["u", "A", "B", "C"]), 0..4),
    );
    prop::collection::vec(cohort, 0..5).prop_map(|cohorts| store(&cohorts))
}

/// The user that an official SDK would make: with all its cohorts written into it.
fn written_out(user: &User, store: &CohortStore) -> User {
    let synced = |group_type: &str, name: &str| -> BTreeSet<String> {
        store
            .iter()
            .filter(|(_, cohort)| {
                cohort.group_type() == group_type && cohort.members().contains(name)
            })
            .map(|(id, _)| id.to_owned())
            .collect()
    };
    let union = |own: Option<&experiment_model::Value>, mut ids: BTreeSet<String>| {
        let own = own.and_then(|own| own.as_list()).unwrap_or_default();
        ids.extend(
            own.iter()
                .filter_map(|id| id.as_str())
                .map(ToOwned::to_owned),
        );
        ids
    };
    let mut out = user.clone();
    if let Some(id) = user.user_id().filter(|_| store.has_group_type("User")) {
        out = out.with_cohort_ids(union(user.cohort_ids(), synced("User", id)));
    }
    for group in user.groups().iter() {
        if let Some(name) = group.name() {
            let ids = union(group.name_cohort_ids(), synced(&group.group_type, name));
            out = out.with_group_cohort_ids(group.group_type.clone(), name.clone(), ids);
        }
    }
    out
}

const PLACES: &[&[&str]] = &[
    &["context"],
    &["context", "user"],
    &["context", "user", "user_id"],
    &["context", "user", "user_properties", "p"],
    &["context", "user", "cohort_ids", "x"],
    &["context", "groups"],
    &["context", "groups", "org name"],
    &["context", "groups", "org name", "group_name"],
    &["context", "groups", "team", "cohort_ids"],
    &["context", "page"],
];

proptest! {
    #[test]
    fn set_operators_answer_as_for_a_user_with_all_cohorts_written_out(
        user in any_user(),
        store in any_store(&["User", "org name"]),
        values in prop::collection::vec(prop::sample::select(IDS.to_vec()), 1..4),
    ) {
        let operators = [
            "set is", "set is not", "set contains", "set does not contain", "set contains any",
            "set does not contain any",
        ];
        let mut conditions: Vec<_> = operators
            .iter()
            .flat_map(|operator| [user_cohorts(), org_cohorts()].map(|place| (place, *operator, values.clone())))
            .collect();
        for operator in ["is", "is not"] {
            conditions.push((user_cohorts(), operator, values.clone()));
        }
        let plan = plan(&conditions);
        let expected = holds_plainly(&plan, &written_out(&user, &store));
        prop_assert_eq!(holds(&plan, &user, &store), expected);
    }

    #[test]
    fn without_cohorts_of_a_type_every_condition_answers_as_for_the_plain_user(
        user in any_user(),
        store in prop_oneof![Just(CohortStore::default()), any_store(&["other"])],
        values in prop::collection::vec(prop::sample::select(vec!["c0", "(none)", "u", "A", "{", "true"]), 1..4),
    ) {
        let places = PLACES.iter().map(|place| json!(place)).chain([user_cohorts(), org_cohorts()]);
        let conditions: Vec<_> = places
            .flat_map(|place| Operator::KNOWN.map(|operator| (place.clone(), operator.to_string(), values.clone())))
            .collect();
        let conditions: Vec<_> = conditions
            .iter()
            .map(|(place, operator, values)| (place.clone(), operator.as_str(), values.clone()))
            .collect();
        let plan = plan(&conditions);
        prop_assert_eq!(holds(&plan, &user, &store), holds_plainly(&plan, &user));
    }

    #[test]
    fn conditions_on_anything_but_cohorts_answer_as_for_the_plain_user(
        user in any_user(),
        store in any_store(&["User", "org name"]),
        values in prop::collection::vec(prop::sample::select(vec!["c0", "(none)", "u", "A", "{", "true"]), 1..4),
    ) {
        let conditions: Vec<_> = PLACES
            .iter()
            .flat_map(|place| Operator::KNOWN.map(|operator| (json!(place), operator.to_string(), values.clone())))
            .collect();
        let conditions: Vec<_> = conditions
            .iter()
            .map(|(place, operator, values)| (place.clone(), operator.as_str(), values.clone()))
            .collect();
        let plan = plan(&conditions);
        prop_assert_eq!(holds(&plan, &user, &store), holds_plainly(&plan, &user));
    }
}
