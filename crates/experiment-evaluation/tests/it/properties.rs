//! Laws that hold for any flags and any users.

use std::collections::BTreeSet;

use experiment_evaluation::{
    Context, Diagnostic, KeysOptions, Members, Node, Options, Plan, SegmentStep, UserView,
    evaluate_partially, lint,
};
use experiment_model::{
    Condition, Flag, FlagSet, Object, Operator, Segment, Selector, Text, User, UserField, Value,
    Variant, Variants, read_flags,
};
use proptest::{collection::vec, prelude::*, sample::Index};

use crate::arbitrary::{context, flags, orderly_flags, reads_whole, scalar, text, user, value};

fn compile(flags: &FlagSet) -> Plan {
    Plan::compile(flags, &Options::default())
}

fn answers(flags: &FlagSet, context: &dyn Context) -> Variants {
    compile(flags).evaluate(context).to_variants()
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("JSON")
}

/// Gives an object a field that is not known.
fn with_unknown(object: &mut Object, unknown: &Value) {
    object.insert("an unknown field", unknown.clone());
}

/// Changes the objects of the list under `key`.
fn each(object: &mut Object, key: &str, mut change: impl FnMut(&mut Object)) {
    let Some(list) = object.get(key).and_then(Value::as_list) else {
        return;
    };
    let changed: Vec<Value> = list
        .iter()
        .map(|value| match value.clone() {
            Value::Object(mut object) => {
                change(&mut object);
                Value::Object(object)
            }
            other => other,
        })
        .collect();
    object.insert(key, changed);
}

/// A flag with an unknown field in each of its objects.
fn with_unknown_fields(flag: &Flag, unknown: &Value) -> Value {
    let mut flag: Object = serde_json::from_str(&json(flag)).expect("an object");
    let variants = flag.get("variants").and_then(Value::as_object).cloned();
    let variants = variants.unwrap_or_default();
    let variants = variants.iter().map(|(key, variant)| {
        let mut variant = variant.as_object().cloned().unwrap_or_default();
        with_unknown(&mut variant, unknown);
        (key.clone(), variant)
    });
    flag.insert("variants", variants.collect::<Object>());
    each(&mut flag, "segments", |segment| {
        if let Some(mut bucket) = segment.get("bucket").and_then(Value::as_object).cloned() {
            each(&mut bucket, "allocations", |allocation| {
                each(allocation, "distributions", |it| with_unknown(it, unknown));
                with_unknown(allocation, unknown);
            });
            with_unknown(&mut bucket, unknown);
            segment.insert("bucket", bucket);
        }
        if let Some(any_of) = segment.get("conditions").and_then(Value::as_list) {
            let lists = any_of.iter().map(|all_of| {
                let mut holder = Object::from_iter([("list", all_of.clone())]);
                each(&mut holder, "list", |it| with_unknown(it, unknown));
                holder.remove("list").unwrap_or_default()
            });
            let lists: Vec<Value> = lists.collect();
            segment.insert("conditions", lists);
        }
        with_unknown(segment, unknown);
    });
    with_unknown(&mut flag, unknown);
    Value::Object(flag)
}

/// A flag that gives `on` where a condition on the user's cohorts holds.
fn cohort_flag(operator: &Operator, values: &[Text]) -> Flag {
    let condition = Condition {
        selector: Selector::from_iter(["context", "user", "cohort_ids"]),
        operator: operator.clone(),
        values: values.to_vec(),
    };
    let segment = Segment {
        conditions: Some(vec![vec![condition]]),
        variant: Some(Text::new("on")),
        ..Segment::default()
    };
    Flag {
        key: Text::new(operator.as_str()),
        variants: Variants::from_iter([("on", Variant::new("on"))]),
        segments: vec![segment],
        ..Flag::default()
    }
}

/// The cohorts of a user that can only be asked.
struct Cohorts(BTreeSet<Text>);

impl Members for Cohorts {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn contains(&self, member: &str) -> bool {
        self.0.contains(member)
    }
}

/// JSON of flags of which some bytes are replaced, which may be cut off, or any bytes at all.
fn damaged_flags() -> impl Strategy<Value = Vec<u8>> {
    let edits = vec((any::<Index>(), any::<u8>()), 0..4);
    let damaged =
        (flags(), edits, any::<Index>(), any::<bool>()).prop_map(|(flags, edits, end, cut)| {
            let mut bytes = json(&flags).into_bytes();
            for (at, byte) in edits {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if cut {
                bytes.truncate(end.index(bytes.len()));
            }
            bytes
        });
    prop_oneof![3 => damaged, 1 => vec(any::<u8>(), 0..64)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn evaluating_never_panics_whatever_the_flags_and_the_context_are(
        flags in flags(),
        context in context(),
    ) {
        let options = Options::default();
        let plan = compile(&flags);
        let evaluation = plan.evaluate(&context);
        prop_assert!(evaluation.len() <= plan.len());
        for flag in plan.flags() {
            let explanation = flag.explain(&context);
            prop_assert!(explanation.to_string().starts_with("flag `"));
            prop_assert_ne!(json(&explanation), "");
        }
        let keys = plan.flags().map(|flag| flag.key().to_owned());
        let all = plan.evaluate_keys(&context, keys, KeysOptions::new());
        prop_assert_eq!(all.len(), evaluation.len());
        prop_assert!(lint(&flags, &options).len() >= plan.diagnostics().len());
        let settled = evaluate_partially(&flags.flags, &context, &options);
        prop_assert_eq!(settled.len(), flags.flags.len());
        prop_assert_eq!(Plan::compile_strict(&flags, &options).is_ok(), plan.diagnostics().is_empty());
    }

    #[test]
    fn reading_never_panics_whatever_the_bytes_are(bytes in damaged_flags(), user in user()) {
        let read = read_flags(&bytes);
        let plan = Plan::from_json(&bytes, &Options::default());
        match (read, plan) {
            (Ok(flags), Ok(plan)) => {
                prop_assert_eq!(plan.evaluate(&user).to_variants(), answers(&flags, &user));
            }
            (Err(one), Err(other)) => prop_assert_eq!(one, other),
            (read, plan) => prop_assert!(false, "read {read:?}, compiled {plan:?}"),
        }
    }

    #[test]
    fn an_explanation_has_the_variant_that_the_flag_gives(
        flags in flags(),
        context in context(),
    ) {
        let plan = compile(&flags);
        for flag in plan.flags() {
            let explanation = flag.explain(&context);
            prop_assert_eq!(explanation.variant(), flag.variant(&context));
            prop_assert_eq!(explanation.variant(), plan.variant(&context, flag.key()));
            let given = explanation.segments().last().and_then(SegmentStep::variant);
            prop_assert_eq!(given, explanation.variant());
            for segment in explanation.segments() {
                if let Some(failing) = explanation.first_failing(segment) {
                    prop_assert!(!failing.matched());
                }
            }
        }
    }

    #[test]
    fn the_hash_that_an_explanation_shows_is_that_of_the_input_it_shows(
        flags in flags(),
        user in user(),
    ) {
        let plan = compile(&flags);
        for flag in plan.flags() {
            let explanation = flag.explain(&user);
            for bucket in explanation.segments().iter().filter_map(|segment| segment.bucket()) {
                let Some(input) = bucket.input() else {
                    prop_assert!(bucket.value().is_none_or(str::is_empty));
                    prop_assert!(bucket.hash().is_none() && bucket.allocation().is_none());
                    continue;
                };
                let hash = murmur3::murmur3_32(&mut input.as_bytes(), 0).expect("a hash");
                prop_assert_eq!(bucket.hash(), Some(hash));
                prop_assert_eq!(bucket.slot(), Some(hash % 100));
                prop_assert_eq!(bucket.point(), Some(hash / 100));
                if let (Some((_, slots)), Some((_, points))) = (bucket.allocation(), bucket.distribution()) {
                    prop_assert!(slots.contains(&(hash % 100)) && points.contains(&(hash / 100)));
                }
            }
        }
    }

    #[test]
    fn a_flag_that_declares_what_it_reads_answers_alone_as_among_all(
        flags in orderly_flags(),
        context in context(),
    ) {
        let plan = compile(&flags);
        let evaluation = plan.evaluate(&context);
        for flag in plan.flags() {
            let key = flag.key();
            prop_assert_eq!(plan.variant(&context, key), evaluation.get(key));
            prop_assert_eq!(flag.explain(&context).variant(), evaluation.get(key));
            let some = plan.evaluate_keys(&context, [key], KeysOptions::new());
            prop_assert_eq!(some.get(key), evaluation.get(key));
        }
    }

    #[test]
    fn the_order_of_the_flags_changes_no_answer(
        (flags, shuffled) in orderly_flags()
            .prop_flat_map(|set| (Just(set.clone()), Just(set.flags).prop_shuffle())),
        user in user(),
    ) {
        prop_assert_eq!(answers(&flags, &user), answers(&FlagSet::from(shuffled), &user));
    }

    #[test]
    fn a_flag_more_changes_no_answer_of_the_others(
        flags in orderly_flags(),
        others in flags(),
        place in any::<Index>(),
        user in user(),
    ) {
        let Some(mut stranger) = others.flags.into_iter().next() else {
            return Ok(());
        };
        stranger.key = Text::new("stranger");
        let mut more = flags.clone();
        more.flags.insert(place.index(flags.flags.len() + 1), stranger);
        let expected = answers(&flags, &user);
        let variants = answers(&more, &user);
        let variants: Variants = variants.into_iter().filter(|(key, _)| *key != *"stranger").collect();
        prop_assert_eq!(variants, expected);
    }

    #[test]
    fn a_property_that_no_flag_reads_changes_no_answer(
        mut flags in orderly_flags(),
        user in user(),
        name in text(),
        value in value(),
    ) {
        let path = ["context", "user", "user_properties", "unread"];
        flags.flags.retain(|flag| !reads_whole(flag, &path));
        let extended = user.clone().with_user_property("unread", value.clone());
        prop_assert_eq!(answers(&flags, &extended), answers(&flags, &user));

        flags.flags.retain(|flag| !reads_whole(flag, &["context", "user", &name]));
        if let Ok(extended) = user.clone().with(name, value) {
            prop_assert_eq!(answers(&flags, &extended), answers(&flags, &user));
        }
    }

    #[test]
    fn the_order_of_the_properties_changes_no_answer(mut flags in orderly_flags(), user in user()) {
        // Of an object as a whole the text is compared, in which the order counts.
        flags.flags.retain(|flag| {
            !["user_properties", "cohort_ids"].iter().any(|name| reads_whole(flag, &["context", "user", name]))
        });
        let properties = user.user_properties().cloned().unwrap_or_default();
        let mut entries: Vec<_> = properties.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        entries.reverse();
        let reversed = user.clone().with_user_properties(Object::from_iter(entries));
        prop_assert_eq!(answers(&flags, &reversed), answers(&flags, &user));
    }

    #[test]
    fn unknown_fields_of_a_flag_change_no_answer(
        flags in flags(),
        unknown in value(),
        user in user(),
    ) {
        let list: Vec<Value> =
            flags.flags.iter().map(|flag| with_unknown_fields(flag, &unknown)).collect();
        let read = read_flags(Value::from(list).to_string().as_bytes()).expect("flags");
        prop_assert_eq!(&read.malformed, &[]);
        prop_assert_eq!(answers(&read, &user), answers(&flags, &user));
    }

    #[test]
    fn flags_that_are_written_and_read_again_give_the_same_answers(
        flags in flags(),
        context in context(),
    ) {
        let read = read_flags(json(&flags).as_bytes()).expect("flags");
        prop_assert_eq!(&read.malformed, &[]);
        let (plan, again) = (compile(&flags), compile(&read));
        prop_assert_eq!(plan.diagnostics(), again.diagnostics());
        prop_assert_eq!(
            plan.evaluate(&context).to_variants(),
            again.evaluate(&context).to_variants()
        );
    }

    #[test]
    fn compiling_from_json_equals_compiling_what_was_read(
        flags in flags(),
        broken in value(),
        place in any::<Index>(),
        user in user(),
    ) {
        let mut list: Vec<String> = flags.flags.iter().map(json).collect();
        list.insert(place.index(list.len() + 1), broken.to_string());
        let bytes = format!("[{}]", list.join(", ")).into_bytes();
        let plan = Plan::from_json(&bytes, &Options::default()).expect("a list of flags");
        let read = compile(&read_flags(&bytes).expect("a list of flags"));
        prop_assert_eq!(plan.diagnostics(), read.diagnostics());
        prop_assert_eq!(plan.evaluate(&user).to_variants(), read.evaluate(&user).to_variants());
        let malformed = plan.diagnostics().iter().filter(|it| it.code.as_str() == "malformed-flag");
        prop_assert_eq!(malformed.map(Diagnostic::to_string).collect::<Vec<_>>().len(), 1);
    }

    #[test]
    fn a_user_its_view_and_its_context_get_the_same_answers(flags in flags(), user in user()) {
        // A view has the known fields, and no properties rather than none of them.
        let mut user = user.with("browser", Value::Null).expect("a user");
        if user.user_properties().is_some_and(Object::is_empty) {
            user.set(Text::new("user_properties"), Value::Null).expect("a user");
        }
        let context = user.to_context();
        let fields: Vec<(UserField, &str)> = user
            .fields()
            .filter_map(|(name, value)| Some((UserField::from_name(name)?, value.as_str()?)))
            .collect();
        let properties: Vec<(&str, Node<'_>)> = user
            .user_properties()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.as_str(), Node::from(value)))
            .collect();
        let groups = context.get("groups").and_then(Value::as_object);
        let groups: Vec<(&str, Node<'_>)> = groups
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.as_str(), Node::from(value)))
            .collect();
        let view = UserView {
            fields: &fields,
            user_properties: &properties,
            cohort_ids: Node::from(user.cohort_ids()),
            groups: &groups,
        };
        let plan = compile(&flags);
        let expected = plan.evaluate(&context);
        prop_assert_eq!(&plan.evaluate(&user), &expected);
        prop_assert_eq!(&plan.evaluate(&view), &expected);
        for flag in plan.flags() {
            let expected = json(&flag.explain(&context));
            prop_assert_eq!(&json(&flag.explain(&user)), &expected);
            prop_assert_eq!(&json(&flag.explain(&view)), &expected);
        }
    }

    #[test]
    fn members_answer_as_a_list_of_the_same_texts(
        cohorts in vec(text(), 0..5),
        values in vec(text(), 0..5),
        more in vec(text(), 0..8),
    ) {
        let operators = [
            Operator::SetIs,
            Operator::SetIsNot,
            Operator::SetContains,
            Operator::SetDoesNotContain,
            Operator::SetContainsAny,
            Operator::SetDoesNotContainAny,
            Operator::Is,
            Operator::IsNot,
        ];
        let values: Vec<Text> = values.iter().chain(&more).cloned().collect();
        let flags: Vec<Flag> = operators.iter().map(|it| cohort_flag(it, &values)).collect();
        let list: Value = cohorts.iter().cloned().collect();
        let members = Cohorts(cohorts.into_iter().collect());
        let view = |cohort_ids| UserView { cohort_ids, ..UserView::default() };
        let flags = FlagSet::from(flags);
        prop_assert_eq!(
            answers(&flags, &view(Node::Members(&members))),
            answers(&flags, &view(Node::from(&list)))
        );
    }

    #[test]
    fn a_scalar_is_one_of_the_values_or_is_not(scalar in scalar(), values in vec(text(), 0..12)) {
        // Text that is a list has elements, and `is not` asks whether one of them is none of the
        // values.
        let is_list = |text: &str| serde_json::from_str::<Vec<Value>>(text).is_ok();
        prop_assume!(!scalar.as_str().is_some_and(is_list));
        let flags = [Operator::Is, Operator::IsNot].map(|it| cohort_flag(&it, &values));
        let user = Object::from_iter([("cohort_ids", scalar)]);
        let context = Object::from_iter([("user", user)]);
        prop_assert_eq!(answers(&FlagSet::from(flags.to_vec()), &context).len(), 1);
    }
}

#[cfg(feature = "serde_json")]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_context_of_serde_json_gets_the_same_answers(flags in flags(), context in context()) {
        // `serde_json` sorts the keys of objects.
        let sorted: serde_json::Value = serde_json::from_str(&context.to_string()).expect("JSON");
        let context: Value = serde_json::from_str(&sorted.to_string()).expect("JSON");
        let plan = compile(&flags);
        prop_assert_eq!(plan.evaluate(&sorted), plan.evaluate(&context));
        for flag in plan.flags() {
            prop_assert_eq!(json(&flag.explain(&sorted)), json(&flag.explain(&context)));
        }
    }
}

#[test]
fn generated_flags_give_variants_hash_users_and_depend_on_each_other() {
    // The laws above would hold of flags that do nothing, too.
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut given, mut hashed, mut depending) = (0, 0, 0);
    for _ in 0..100 {
        use proptest::strategy::ValueTree;
        let set = orderly_flags()
            .new_tree(&mut runner)
            .expect("flags")
            .current();
        let user: User = user().new_tree(&mut runner).expect("a user").current();
        let plan = compile(&set);
        given += plan.evaluate(&user).len();
        for flag in plan.flags() {
            depending += flag.dependencies().count();
            let explanation = flag.explain(&user);
            let buckets = explanation.segments().iter().filter_map(|it| it.bucket());
            hashed += buckets.filter(|bucket| bucket.hash().is_some()).count();
        }
    }
    assert!(
        given > 100 && hashed > 50 && depending > 15,
        "{given} {hashed} {depending}"
    );
}

#[test]
fn members_put_the_letter_case_of_truth_values_aside() {
    let table: [(&[&str], &[&str], &[Operator]); 5] = [
        (
            &["TRUE"],
            &["true"],
            &[
                Operator::Is,
                Operator::SetContains,
                Operator::SetContainsAny,
            ],
        ),
        (
            &["False"],
            &["fALSE"],
            &[
                Operator::Is,
                Operator::SetContains,
                Operator::SetContainsAny,
            ],
        ),
        (
            &["true"],
            &["true", "TRUE"],
            &[Operator::Is, Operator::SetContainsAny],
        ),
        (
            &["true", "TRUE"],
            &["True"],
            &[
                Operator::Is,
                Operator::SetContains,
                Operator::SetContainsAny,
            ],
        ),
        (&["YES"], &["yes"], &[Operator::IsNot]),
    ];
    for (cohorts, values, matching) in table {
        let values: Vec<Text> = values.iter().copied().map(Text::new).collect();
        let members = Cohorts(cohorts.iter().copied().map(Text::new).collect());
        let view = UserView {
            cohort_ids: Node::Members(&members),
            ..UserView::default()
        };
        for operator in [
            Operator::Is,
            Operator::IsNot,
            Operator::SetContains,
            Operator::SetContainsAny,
        ] {
            let flags = FlagSet::from(vec![cohort_flag(&operator, &values)]);
            let matched = !answers(&flags, &view).is_empty();
            assert_eq!(
                matched,
                matching.contains(&operator),
                "{cohorts:?} {operator} {values:?}"
            );
        }
    }
}
