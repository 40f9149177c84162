//! [`Entry`]: an event that waits, and how it is written.

use std::{
    borrow::Cow,
    cell::Cell,
    hash::BuildHasher,
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use experiment_events::Event;
use foldhash::quality::RandomState;
use serde::Deserialize;

use super::spool::{HEADER, Place, seal};
use crate::{clock::Clock, endpoints::LIBRARY};

/// A buffer larger than this is not kept for the next event of the thread.
pub(super) const SCRATCH: usize = 16 * 1024;

thread_local! {
    /// Where events are written before they are copied to memory of exactly their size.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// An event that waits for delivery. The ids are only in its JSON.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) json: Box<[u8]>,
    pub(super) who: Who,
    /// When it happened, in Unix milliseconds.
    pub(super) time: i64,
    /// Where it is in the spool, if it is there.
    pub(super) place: Option<Place>,
}

/// Hashes of the ids of an event, 0 for an absent one, to find the events of whom the service
/// throttles. They mean something in this process only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) user: u64,
    pub(super) device: u64,
}

/// The hash of ids.
#[derive(Clone, Debug, Default)]
pub(super) struct IdHasher(RandomState);

impl IdHasher {
    pub(super) fn of(&self, id: &str) -> u64 {
        self.0.hash_one(id).max(1)
    }

    fn who(&self, user: Option<&str>, device: Option<&str>) -> Who {
        let of = |id: Option<&str>| id.map_or(0, |id| self.of(id));
        Who {
            user: of(user),
            device: of(device),
        }
    }
}

/// Makes insert ids for events that have none, without which a repeated upload would count twice.
#[derive(Debug)]
pub(super) struct InsertIds {
    nonce: u64,
    next: AtomicU64,
}

impl InsertIds {
    /// Ids unlike those of any other delivery. A random generator alone would not do: its state is
    /// copied by `fork`.
    pub(super) fn new() -> Self {
        let time = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos());
        Self {
            nonce: RandomState::default().hash_one((std::process::id(), time, fastrand::u64(..))),
            next: AtomicU64::new(0),
        }
    }

    pub(super) fn nonce(&self) -> u64 {
        self.nonce
    }

    fn next(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{:016x}-{number:x}", self.nonce)
    }
}

/// An event as it is sent, with room for a spool header in front.
pub(super) struct Written {
    buffer: Vec<u8>,
    json: usize,
    pub(super) who: Who,
    pub(super) time: i64,
}

impl Written {
    /// Writes `event`, and what delivery needs it to have: a time, an insert id, a library. `None`
    /// if it has no JSON form.
    pub(super) fn new(
        event: &Event,
        hasher: &IdHasher,
        insert_ids: &InsertIds,
        clock: &dyn Clock,
    ) -> Option<Self> {
        let mut buffer = BUFFER.try_with(Cell::take).unwrap_or_default();
        buffer.clear();
        buffer.resize(HEADER, 0);
        let time = event.time.unwrap_or_else(|| clock.now()).unix_millis();
        let written = serde_json::to_writer(&mut buffer, event).is_ok() && buffer.ends_with(b"}");
        let mut this = Self {
            buffer,
            json: 0,
            who: hasher.who(event.user_id.as_deref(), event.device_id.as_deref()),
            time,
        };
        if !written {
            return None;
        }
        if event.time.is_none() {
            this.add(format_args!("\"time\":{time}"));
        }
        if event.insert_id.is_none() {
            this.add(format_args!("\"insert_id\":\"{}\"", insert_ids.next()));
        }
        if !event.extra.contains_key("library") {
            this.add(format_args!("\"library\":\"{LIBRARY}\""));
        }
        this.json = this.buffer.len().saturating_sub(HEADER);
        Some(this)
    }

    /// Adds a member in front of the closing brace.
    fn add(&mut self, member: std::fmt::Arguments<'_>) {
        self.buffer.pop();
        self.buffer.push(b',');
        // Writing to memory does not fail.
        let _ = std::io::Write::write_fmt(&mut self.buffer, member);
        self.buffer.push(b'}');
    }

    pub(super) fn json(&self) -> &[u8] {
        let json = self.buffer.get(HEADER..).unwrap_or_default();
        json.get(..self.json).unwrap_or_default()
    }

    /// Makes a spool record of it.
    pub(super) fn seal(&mut self) {
        seal(&mut self.buffer);
    }

    /// The record, once it is [sealed](Self::seal).
    pub(super) fn record(&self) -> &[u8] {
        &self.buffer
    }

    pub(super) fn to_entry(&self, place: Option<Place>) -> Entry {
        Entry {
            json: self.json().into(),
            who: self.who,
            time: self.time,
            place,
        }
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        if buffer.capacity() <= SCRATCH {
            let _ = BUFFER.try_with(|kept| kept.set(buffer));
        }
    }
}

impl Entry {
    /// An event read back; `None` if it is not one.
    pub(super) fn read(json: &[u8], place: Place, hasher: &IdHasher) -> Option<Self> {
        #[derive(Deserialize)]
        struct Ids<'a> {
            #[serde(borrow, default)]
            user_id: Option<Cow<'a, str>>,
            #[serde(borrow, default)]
            device_id: Option<Cow<'a, str>>,
            #[serde(default)]
            time: i64,
        }
        let ids: Ids<'_> = serde_json::from_slice(json).ok()?;
        Some(Self {
            json: json.into(),
            who: hasher.who(ids.user_id.as_deref(), ids.device_id.as_deref()),
            time: ids.time,
            place: Some(place),
        })
    }
}
