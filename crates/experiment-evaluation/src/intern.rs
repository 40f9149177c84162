//! Equal variants and equal paths of a plan are kept once.

use alloc::vec::Vec;
use core::hash::{BuildHasher, Hasher};

use experiment_model::{Object, Text, Value, Variant};
use foldhash::fast::{FixedState, FoldHasher};
use hashbrown::HashTable;

/// The tables are filled from configurations, which operators write; see `values`.
const HASHER: FixedState = FixedState::with_seed(1);

/// Items without repetitions, by position.
pub(crate) struct Interned<T> {
    items: Vec<T>,
    table: HashTable<(u64, u32)>,
}

impl<T> Interned<T> {
    pub(crate) fn new() -> Self {
        Self {
            items: Vec::new(),
            table: HashTable::new(),
        }
    }

    /// The item with this hash that is the `same`, and its position; `make` makes it if there is none.
    pub(crate) fn find_or_make(
        &mut self,
        hash: u64,
        same: impl Fn(&T) -> bool,
        make: impl FnOnce() -> T,
    ) -> (u32, &T) {
        let items = &self.items;
        let found = self.table.find(hash, |&(known, at)| {
            known == hash && items.get(at as usize).is_some_and(&same)
        });
        let found = found.map(|&(_, at)| at);
        self.found_or_new(hash, found, make)
    }

    fn found_or_new(
        &mut self,
        hash: u64,
        found: Option<u32>,
        make: impl FnOnce() -> T,
    ) -> (u32, &T) {
        let at = found.unwrap_or_else(|| {
            let at = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
            self.items.push(make());
            self.table
                .insert_unique(hash, (hash, at), |&(hash, _)| hash);
            at
        });
        // The position was found or made above.
        #[allow(clippy::indexing_slicing, reason = "in range by construction")]
        (at, &self.items[at as usize])
    }

    /// The item that is the `same` as `item`, and its position.
    pub(crate) fn intern(&mut self, hash: u64, item: T, same: fn(&T, &T) -> bool) -> (u32, &T) {
        let items = &self.items;
        let found = self.table.find(hash, |&(known, at)| {
            known == hash
                && items
                    .get(at as usize)
                    .is_some_and(|known| same(known, &item))
        });
        let found = found.map(|&(_, at)| at);
        self.found_or_new(hash, found, || item)
    }

    pub(crate) fn into_items(self) -> Vec<T> {
        self.items
    }
}

fn hash_of(write: impl FnOnce(&mut FoldHasher<'_>)) -> u64 {
    let mut hasher = HASHER.build_hasher();
    write(&mut hasher);
    hasher.finish()
}

/// Hashes a variant without its metadata, which are often the same for many: of a plan's variants
/// with one hash there are few.
pub(crate) fn hash_variant(variant: &Variant) -> u64 {
    hash_of(|hasher| {
        hash_text(variant.key.as_deref().unwrap_or_default(), hasher);
        hash_value(variant.value.as_ref().unwrap_or(&Value::Null), hasher);
        hash_value(variant.payload.as_ref().unwrap_or(&Value::Null), hasher);
        // Equal metadata of one plan share their entries, so their first entry may stand for them.
        if let Some(metadata) = &variant.metadata {
            hasher.write_usize(
                metadata
                    .iter()
                    .next()
                    .map_or(0, |(key, _)| core::ptr::from_ref(key).addr()),
            );
        }
    })
}

/// Hashes the entries of an object in their order.
pub(crate) fn hash_object(object: &Object) -> u64 {
    hash_of(|hasher| hash_entries(object, hasher))
}

fn hash_entries(object: &Object, hasher: &mut FoldHasher<'_>) {
    for (key, value) in object {
        hash_text(key, hasher);
        hash_value(value, hasher);
    }
}

fn hash_text(text: &str, hasher: &mut FoldHasher<'_>) {
    hasher.write(text.as_bytes());
    hasher.write_usize(text.len());
}

fn hash_value(value: &Value, hasher: &mut FoldHasher<'_>) {
    match value {
        Value::Null => hasher.write_u8(0),
        Value::Bool(value) => hasher.write_u8(if *value { 1 } else { 2 }),
        Value::I64(value) => hasher.write_i64(*value),
        Value::F64(value) => hasher.write_u64(value.to_bits()),
        Value::Text(text) => hash_text(text, hasher),
        Value::List(values) => values.iter().for_each(|value| hash_value(value, hasher)),
        Value::Object(object) => hash_entries(object, hasher),
    }
}

/// Whether two variants are the same to the order of their objects, which `==` leaves aside but
/// their JSON text shows.
pub(crate) fn same_variant(a: &Variant, b: &Variant) -> bool {
    let same = |a: &Option<Value>, b: &Option<Value>| match (a, b) {
        (Some(a), Some(b)) => same_value(a, b),
        (a, b) => a.is_none() && b.is_none(),
    };
    let metadata = match (&a.metadata, &b.metadata) {
        (Some(a), Some(b)) => same_object(a, b),
        (a, b) => a.is_none() && b.is_none(),
    };
    a.key == b.key && same(&a.value, &b.value) && same(&a.payload, &b.payload) && metadata
}

pub(crate) fn same_object(a: &Object, b: &Object) -> bool {
    a.shares_entries_with(b)
        || a.len() == b.len()
            && a.iter()
                .zip(b)
                .all(|((k, a), (l, b))| k == l && same_value(a, b))
}

fn same_value(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::F64(a), Value::F64(b)) => a.to_bits() == b.to_bits(),
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same_value(a, b))
        }
        (Value::Object(a), Value::Object(b)) => same_object(a, b),
        (a, b) => a == b,
    }
}

/// Hashes the keys of a selector.
pub(crate) fn hash_keys(keys: &[Text]) -> u64 {
    hash_of(|hasher| keys.iter().for_each(|key| hash_text(key, hasher)))
}
