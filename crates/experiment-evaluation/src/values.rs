//! The values of a condition as a set.

use alloc::boxed::Box;

use experiment_model::Text;
use hashbrown::HashSet;
use smallvec::{SmallVec, smallvec};

use crate::table::Table;

/// Up to this many values are compared one by one, which is faster than hashing.
const LISTED: usize = 8;

/// Distinct values in the order of the configuration, with fast membership.
#[derive(Debug)]
pub(crate) struct ValueSet {
    values: Box<[Text]>,
    /// Positions by text, for sets that are not [`LISTED`].
    table: Option<Table>,
}

impl ValueSet {
    pub(crate) fn new(values: &[Text]) -> Self {
        let values = distinct(values);
        let table = (values.len() > LISTED).then(|| Table::new(values.iter().map(Text::as_str)));
        Self { values, table }
    }

    /// Whether the values are few enough to be compared one by one.
    pub(crate) fn is_listed(&self) -> bool {
        self.table.is_none()
    }

    pub(crate) fn values(&self) -> &[Text] {
        &self.values
    }

    #[inline]
    pub(crate) fn contains(&self, text: &str) -> bool {
        match &self.table {
            None => self.values.iter().any(|value| *value == *text),
            Some(_) => self.position(text).is_some(),
        }
    }

    /// Where in [`values`](Self::values) a text stands.
    pub(crate) fn position(&self, text: &str) -> Option<usize> {
        match &self.table {
            None => self.values.iter().position(|value| *value == *text),
            Some(table) => table.find(text, |at| {
                let value = self.values.get(at as usize)?;
                (*value == *text).then_some(at as usize)
            }),
        }
    }
}

/// The texts without repetitions, in order.
fn distinct(values: &[Text]) -> Box<[Text]> {
    if values.len() <= LISTED {
        let repeated =
            |(at, value): (usize, &Text)| values.iter().take(at).any(|other| other == value);
        if !values.iter().enumerate().any(repeated) {
            return values.into();
        }
    }
    let mut seen: HashSet<&str> = HashSet::with_capacity(values.len());
    values
        .iter()
        .filter(|value| seen.insert(value.as_str()))
        .cloned()
        .collect()
}

/// Which of the values of a set have been seen.
pub(crate) struct Seen {
    bits: SmallVec<[u64; 4]>,
    count: usize,
}

impl Seen {
    pub(crate) fn none_of(values: usize) -> Self {
        Self {
            bits: smallvec![0; values.div_ceil(64)],
            count: 0,
        }
    }

    /// Notes the value at `position`.
    pub(crate) fn note(&mut self, position: usize) {
        if let Some(bits) = self.bits.get_mut(position / 64) {
            let bit = 1 << (position % 64);
            if *bits & bit == 0 {
                *bits |= bit;
                self.count = self.count.saturating_add(1);
            }
        }
    }

    /// Whether the value at `position` has been noted.
    pub(crate) fn has(&self, position: usize) -> bool {
        self.bits
            .get(position / 64)
            .is_some_and(|bits| bits & 1 << (position % 64) != 0)
    }

    /// How many different values have been noted.
    pub(crate) fn count(&self) -> usize {
        self.count
    }
}
