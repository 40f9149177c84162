//! The compact set.

use std::collections::HashSet;

use experiment_client::{CohortSet, CohortSetBuilder};
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_set_has_what_was_put_in_and_nothing_else(
        ids in prop::collection::vec("[a-c]{0,4}|[^a]{0,12}", 0..400),
        others in prop::collection::vec("[a-d]{0,4}", 0..50),
    ) {
        let set: CohortSet = ids.iter().collect();
        let exact: HashSet<&String> = ids.iter().collect();
        prop_assert_eq!(set.len(), exact.len());
        prop_assert_eq!(set.is_empty(), exact.is_empty());
        for id in ids.iter().chain(&others) {
            prop_assert_eq!(set.contains(id), exact.contains(id));
        }
    }
}

#[test]
fn a_hundred_thousand_members_are_found_and_take_at_most_twelve_bytes_each() {
    const MEMBERS: usize = 100_000;
    let id = |number: usize| format!("6f9619ff-8b86-4d01-b42d-{number:012x}");
    let mut set = CohortSet::default();
    let heap = allocation_counter::measure(|| {
        let mut builder = CohortSetBuilder::new();
        for number in (0..MEMBERS).chain(0..MEMBERS) {
            builder.push(&id(number));
        }
        set = builder.finish();
    });
    assert_eq!(set.len(), MEMBERS);
    let kept = usize::try_from(heap.bytes_current).expect("not negative");
    assert!(kept <= 12 * MEMBERS, "{heap:?}");
    let asked = allocation_counter::measure(|| {
        // One text on the stack is asked again and again, so that only asking is measured.
        assert!(set.contains("6f9619ff-8b86-4d01-b42d-000000000000"));
    });
    assert_eq!(asked.count_total, 0);
    assert!((0..MEMBERS).all(|number| set.contains(&id(number))));
    assert!((MEMBERS..2 * MEMBERS).all(|number| !set.contains(&id(number))));
}

#[test]
fn debug_shows_how_many_and_not_whom() {
    let set = CohortSet::from_iter(["secret"]);
    assert_eq!(format!("{set:?}"), "CohortSet { len: 1, .. }");
    assert_eq!(
        format!("{:?}", CohortSetBuilder::new()),
        "CohortSetBuilder { pushed: 0, .. }"
    );
}
