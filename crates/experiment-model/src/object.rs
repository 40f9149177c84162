//! [`Object`]: a JSON object that keeps the order of its entries.

use alloc::{sync::Arc, vec::Vec};
use core::{fmt, iter::FusedIterator, slice};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};

use crate::{text::Text, value::Value};

/// From this many entries on, look-ups use a sorted index instead of comparing one by one.
///
/// A binary search and not a hash table: keys may come from users, and a fixed hash seed would let
/// them choose collisions.
const INDEXED_FROM: usize = 17;

/// A JSON object whose entries keep the order in which they were first given.
///
/// Order matters because conditions compare, and buckets hash, the JSON text of an object.
/// Of two entries with one key the last value stands, at the position of the first. Clones share
/// their entries until one of them is changed. Equality ignores the order.
///
/// ```
/// use experiment_model::{Object, Value};
///
/// let mut properties = Object::new();
/// properties.insert("plan", "pro");
/// properties.insert("seats", 12);
/// assert_eq!(properties.get("plan").and_then(Value::as_str), Some("pro"));
/// assert_eq!(properties.to_string(), r#"{"plan":"pro","seats":12}"#);
/// ```
#[derive(Clone, Default)]
pub struct Object(Option<Arc<Entries>>);

#[derive(Clone, Default)]
struct Entries {
    list: Vec<Slot>,
    /// Positions in `list`, sorted by key; empty while the list is short.
    sorted: Vec<u32>,
}

#[derive(Clone)]
struct Slot {
    tag: u64,
    key: Text,
    value: Value,
}

impl Slot {
    fn new(key: Text, value: Value) -> Self {
        Self {
            tag: tag(&key),
            key,
            value,
        }
    }

    /// Whether this is the slot of `key`, whose tag is `key_tag`.
    #[inline]
    fn is(&self, key: &str, key_tag: u64) -> bool {
        self.tag == key_tag && (key.len() <= WHOLE || self.key == *key)
    }
}

/// Keys up to this many bytes are equal where their tags are.
const WHOLE: usize = 7;

/// The length and the first seven bytes of a key: enough to tell most keys apart at a glance.
#[inline]
fn tag(key: &str) -> u64 {
    let bytes = key.as_bytes();
    let half =
        |chunk: Option<&[u8; 4]>| chunk.map_or(0, |chunk| u64::from(u32::from_le_bytes(*chunk)));
    let start = match bytes.len() {
        8.. => bytes
            .first_chunk()
            .map_or(0, |chunk| u64::from_le_bytes(*chunk) << 8 >> 8),
        // The halves overlap in equal bytes.
        length @ 4.. => {
            let shift = u32::try_from(length & 3)
                .unwrap_or_default()
                .wrapping_mul(8);
            half(bytes.first_chunk()) | half(bytes.last_chunk()).wrapping_shl(shift)
        }
        _ => {
            let at = |index: usize| bytes.get(index).map_or(0, |&byte| u64::from(byte));
            at(0) | at(1) << 8 | at(2) << 16
        }
    };
    start | (bytes.len().min(255) as u64) << 56
}

impl Entries {
    fn position(&self, key: &str) -> Option<usize> {
        if self.sorted.is_empty() {
            let key_tag = tag(key);
            return self.list.iter().position(|slot| slot.is(key, key_tag));
        }
        self.indexed_position(key)
    }

    #[inline(never)]
    fn indexed_position(&self, key: &str) -> Option<usize> {
        self.sorted
            .binary_search_by(|&at| self.key_at(at).cmp(key))
            .ok()
            .and_then(|found| self.sorted.get(found))
            .map(|&at| at as usize)
    }

    fn key_at(&self, at: u32) -> &str {
        self.list
            .get(at as usize)
            .map_or("", |slot| slot.key.as_str())
    }

    /// Adds an entry whose key is known to be new.
    fn push(&mut self, key: Text, value: Value) {
        self.list.push(Slot::new(key, value));
        if self.list.len() == INDEXED_FROM {
            self.index();
        } else if self.list.len() > INDEXED_FROM {
            let last = u32::try_from(self.list.len().saturating_sub(1)).unwrap_or(u32::MAX);
            let key = self.key_at(last);
            let at = self
                .sorted
                .partition_point(|&other| self.key_at(other) < key);
            self.sorted.insert(at, last);
        }
    }

    fn index(&mut self) {
        self.sorted.clear();
        if self.list.len() < INDEXED_FROM {
            return;
        }
        let mut sorted: Vec<u32> = (0..self.list.len())
            .filter_map(|at| u32::try_from(at).ok())
            .collect();
        sorted.sort_by(|&a, &b| self.key_at(a).cmp(self.key_at(b)).then(a.cmp(&b)));
        self.sorted = sorted;
    }
}

impl Object {
    /// An object without entries; allocates nothing.
    pub const fn new() -> Self {
        Self(None)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries().len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }

    /// The value of `key`. A JSON `null` is a value: [`Value::Null`].
    #[inline]
    pub fn get(&self, key: &str) -> Option<&Value> {
        let entries = self.0.as_deref()?;
        if entries.sorted.is_empty() {
            let key_tag = tag(key);
            let found = entries.list.iter().find(|slot| slot.is(key, key_tag));
            return found.map(|slot| &slot.value);
        }
        let at = entries.indexed_position(key)?;
        entries.list.get(at).map(|slot| &slot.value)
    }

    /// Whether `key` has a value.
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Sets `key` to `value` and returns the value it had. A new key goes to the end.
    pub fn insert(&mut self, key: impl Into<Text>, value: impl Into<Value>) -> Option<Value> {
        let (key, value) = (key.into(), value.into());
        let entries = Arc::make_mut(self.0.get_or_insert_default());
        let known = entries.position(&key);
        if let Some(slot) = known.and_then(|at| entries.list.get_mut(at)) {
            Some(core::mem::replace(&mut slot.value, value))
        } else {
            entries.push(key, value);
            None
        }
    }

    /// Removes `key` and returns the value it had; the other entries keep their order.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        self.0.as_ref()?.position(key)?;
        let entries = Arc::make_mut(self.0.as_mut()?);
        let at = entries.position(key)?;
        let slot = entries.list.remove(at);
        entries.index();
        Some(slot.value)
    }

    /// Whether both share the same entries: clones of which none was changed.
    pub fn shares_entries_with(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        }
    }

    /// The entries in order.
    pub fn iter(&self) -> Entry<'_> {
        Entry(self.entries().iter())
    }

    /// The keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &Text> {
        self.entries().iter().map(|slot| &slot.key)
    }

    fn entries(&self) -> &[Slot] {
        self.0
            .as_deref()
            .map_or(&[], |entries| entries.list.as_slice())
    }

    /// Takes entries as they come; of equal keys the last value stands at the first position.
    fn from_entries(mut list: Vec<Slot>) -> Self {
        if list.is_empty() {
            return Self::new();
        }
        if list.len() < INDEXED_FROM {
            let mut at = 1;
            while at < list.len() {
                let (before, rest) = list.split_at_mut(at);
                let first = rest.first_mut().and_then(|slot| {
                    let first = before
                        .iter_mut()
                        .find(|first| first.is(&slot.key, slot.tag))?;
                    first.value = core::mem::take(&mut slot.value);
                    Some(())
                });
                match first {
                    Some(()) => drop(list.remove(at)),
                    None => at = at.saturating_add(1),
                }
            }
            return Self(Some(Arc::new(Entries {
                list,
                sorted: Vec::new(),
            })));
        }
        let mut entries = Entries {
            list,
            sorted: Vec::new(),
        };
        entries.index();
        let repeated = entries
            .sorted
            .windows(2)
            .any(|pair| matches!(pair, &[a, b] if entries.key_at(a) == entries.key_at(b)));
        if repeated {
            let mut object = Self::new();
            for slot in entries.list {
                object.insert(slot.key, slot.value);
            }
            return object;
        }
        Self(Some(Arc::new(entries)))
    }
}

/// The entries of an [`Object`], in order.
#[derive(Clone)]
pub struct Entry<'a>(slice::Iter<'a, Slot>);

impl<'a> Iterator for Entry<'a> {
    type Item = (&'a Text, &'a Value);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|slot| (&slot.key, &slot.value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Entry<'_> {}
impl FusedIterator for Entry<'_> {}

impl<'a> IntoIterator for &'a Object {
    type Item = (&'a Text, &'a Value);
    type IntoIter = Entry<'a>;

    fn into_iter(self) -> Entry<'a> {
        self.iter()
    }
}

impl<K: Into<Text>, V: Into<Value>> FromIterator<(K, V)> for Object {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self::from_entries(
            entries
                .into_iter()
                .map(|(key, value)| Slot::new(key.into(), value.into()))
                .collect(),
        )
    }
}

impl<K: Into<Text>, V: Into<Value>> Extend<(K, V)> for Object {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        if self.shares_entries_with(other) {
            return true;
        }
        self.len() == other.len()
            && self
                .iter()
                .all(|(key, value)| other.get(key) == Some(value))
    }
}

impl fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl fmt::Display for Object {
    /// Writes compact JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        read_entries(&mut map, None)
    }
}

/// Reads the rest of a map behind an entry that was read already.
pub(crate) fn read_entries<'de, A: MapAccess<'de>>(
    map: &mut A,
    first: Option<(Text, Value)>,
) -> Result<Object, A::Error> {
    let mut list = Vec::with_capacity(4);
    list.extend(first.map(|(key, value)| Slot::new(key, value)));
    while let Some((key, value)) = map.next_entry()? {
        list.push(Slot::new(key, value));
    }
    Ok(Object::from_entries(list))
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString, vec::Vec};
    use core::fmt::Write;

    use super::*;

    #[test]
    fn the_last_of_equal_keys_stands_at_the_first_position() {
        for extra in [0, 40] {
            let mut json = alloc::string::String::from(r#"{"a":1,"b":2,"a":3"#);
            for n in 0..extra {
                write!(json, r#","k{n}":{n}"#).unwrap();
            }
            json.push('}');
            let object: Object = serde_json::from_str(&json).unwrap();
            let keys: Vec<&str> = object.keys().take(2).map(Text::as_str).collect();
            assert_eq!(keys, ["a", "b"]);
            assert_eq!(object.get("a"), Some(&Value::I64(3)));
            assert_eq!(object.len(), 2 + extra);
        }
    }

    #[test]
    fn long_objects_find_what_short_ones_find() {
        let mut object = Object::new();
        for n in 0..100_i64 {
            let key = format!("k{}", (n * 37) % 100);
            assert_eq!(object.insert(key, n), None);
        }
        for n in 0..100_i64 {
            assert_eq!(
                object.get(&format!("k{}", (n * 37) % 100)),
                Some(&Value::I64(n))
            );
        }
        assert_eq!(object.remove("k37"), Some(Value::I64(1)));
        assert_eq!(object.get("k37"), None);
        assert_eq!(object.get("k74"), Some(&Value::I64(2)));
        assert_eq!(object.len(), 99);
    }

    #[test]
    fn keys_that_differ_anywhere_are_told_apart() {
        let keys: Vec<alloc::string::String> = ["", "a", "\0", "a\0", "ab", "ba", "abc", "abd"]
            .into_iter()
            .map(Into::into)
            .chain((4..20).flat_map(|length| {
                (0..length).map(move |at| {
                    let mut key = alloc::vec![b'x'; length];
                    key[at] = b'y';
                    alloc::string::String::from_utf8(key).unwrap()
                })
            }))
            .collect();
        for a in &keys {
            let object: Object = [(a.as_str(), 1)].into_iter().collect();
            for b in &keys {
                assert_eq!(object.contains_key(b), a == b, "{a} {b}");
            }
        }
    }

    #[test]
    fn a_changed_clone_leaves_the_original_alone() {
        let original: Object = [("a", 1)].into_iter().collect();
        let mut changed = original.clone();
        changed.insert("a", 2);
        assert_eq!(original.to_string(), r#"{"a":1}"#);
        assert_eq!(changed.to_string(), r#"{"a":2}"#);
    }
}
