//! [`State`]: what an app client knows, and which answers may still change it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::{ArcSwap, Guard};
use experiment_model::{Text, User, Variants};

use super::flags::Flags;

/// What is known at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) user: Option<Arc<User>>,
    /// Of the last fetch.
    pub(crate) stored: Arc<Variants>,
    pub(crate) flags: Arc<Flags>,
}

/// What is known. Readers take a snapshot without a lock.
#[derive(Debug)]
pub(crate) struct State {
    snapshot: ArcSwap<Snapshot>,
    order: Mutex<Order>,
}

/// In which order things began, so that what began earlier does not undo what began later.
#[derive(Debug, Default)]
struct Order {
    /// Rises when the user changes or everything is cleared: answers to fetches that began before
    /// are for nobody.
    epoch: u64,
    /// Fetches begun.
    fetches: u64,
    /// The latest fetch of all flags that was stored in this epoch.
    stored_all: u64,
    /// For flags that a later fetch asked for by key, the latest such fetch that was stored.
    stored_keys: HashMap<Text, u64>,
    /// Flag loads begun, and the latest that was stored.
    loads: u64,
    stored_load: u64,
}

impl Order {
    fn next_epoch(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.stored_all = 0;
        self.stored_keys.clear();
    }
}

/// A fetch that has begun.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    epoch: u64,
    number: u64,
    pub(crate) user: Arc<User>,
    /// The flags it asks for; `None`: all.
    pub(crate) flag_keys: Option<Vec<Text>>,
}

/// A load of flags that has begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoadTicket(u64);

impl State {
    pub(crate) fn new(stored: Variants, flags: Flags) -> Self {
        Self {
            snapshot: ArcSwap::from_pointee(Snapshot {
                user: None,
                stored: Arc::new(stored),
                flags: Arc::new(flags),
            }),
            order: Mutex::new(Order::default()),
        }
    }

    pub(crate) fn load(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// Changes the user and returns whether it is another one: then answers that are on their way
    /// will not be stored.
    pub(crate) fn set_user(&self, user: User) -> bool {
        self.exchange_user(&mut self.lock(), user)
    }

    /// Forgets the stored variants, also those on their way. `forget` is called while no other
    /// change can come.
    pub(crate) fn clear(&self, forget: impl FnOnce()) {
        let mut order = self.lock();
        order.next_epoch();
        self.put_stored(Variants::new(), |_| forget());
    }

    /// Begins a fetch, for this user from now on, if there is one.
    pub(crate) fn begin_fetch(&self, user: Option<User>, flag_keys: Option<Vec<Text>>) -> Ticket {
        let mut order = self.lock();
        if let Some(user) = user {
            self.exchange_user(&mut order, user);
        }
        order.fetches = order.fetches.saturating_add(1);
        Ticket {
            epoch: order.epoch,
            number: order.fetches,
            user: self.load().user.clone().unwrap_or_default(),
            flag_keys,
        }
    }

    /// Whether no other fetch, no other user and no clearing came since this fetch began.
    pub(crate) fn is_latest(&self, ticket: &Ticket) -> bool {
        let order = self.lock();
        order.epoch == ticket.epoch && order.fetches == ticket.number
    }

    /// Stores what a fetch answered, less what a fetch that began later has stored by now. Returns
    /// whether there was anything to store; `keep` is called with what is stored from now on, while
    /// no other change can come.
    pub(crate) fn store(
        &self,
        ticket: &Ticket,
        fetched: Variants,
        keep: impl FnOnce(&Variants),
    ) -> bool {
        let mut order = self.lock();
        if order.epoch != ticket.epoch || ticket.number < order.stored_all {
            return false;
        }
        let stored = self.load().stored.clone();
        let variants = match &ticket.flag_keys {
            None => order.replaced(ticket.number, &stored, fetched),
            Some(keys) => order.updated(ticket.number, &stored, fetched, keys),
        };
        self.put_stored(variants, keep);
        true
    }

    pub(crate) fn begin_load(&self) -> LoadTicket {
        let mut order = self.lock();
        order.loads = order.loads.saturating_add(1);
        LoadTicket(order.loads)
    }

    /// Swaps the flags, unless a load that began later has done so.
    pub(crate) fn put_flags(&self, ticket: LoadTicket, flags: Flags, keep: impl FnOnce()) -> bool {
        let mut order = self.lock();
        if ticket.0 < order.stored_load {
            return false;
        }
        order.stored_load = ticket.0;
        self.change(|snapshot| snapshot.flags = Arc::new(flags));
        keep();
        true
    }

    fn exchange_user(&self, order: &mut Order, user: User) -> bool {
        let is_another = self.load().user.as_deref() != Some(&user);
        if is_another {
            order.next_epoch();
            self.change(|snapshot| snapshot.user = Some(Arc::new(user)));
        }
        is_another
    }

    fn put_stored(&self, variants: Variants, keep: impl FnOnce(&Variants)) {
        keep(&variants);
        self.change(|snapshot| snapshot.stored = Arc::new(variants));
    }

    /// Only called while `order` is locked, so that no change is lost.
    fn change(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut snapshot = Snapshot::clone(&self.load());
        change(&mut snapshot);
        self.snapshot.store(Arc::new(snapshot));
    }

    fn lock(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Order {
    /// `fetched` in place of everything, except for flags that a later fetch asked for.
    fn replaced(&mut self, number: u64, stored: &Variants, fetched: Variants) -> Variants {
        self.stored_all = number;
        self.stored_keys.retain(|_, later| *later > number);
        let mut variants: Variants = fetched
            .into_iter()
            .filter(|(key, _)| !self.stored_keys.contains_key(key))
            .collect();
        for (key, variant) in stored.iter() {
            if self.stored_keys.contains_key(key) {
                variants.insert(key.clone(), variant.clone());
            }
        }
        variants
    }

    /// `stored` with the variants of `fetched`, and without those that were asked for and did not
    /// come, except for flags that a later fetch asked for.
    fn updated(
        &mut self,
        number: u64,
        stored: &Variants,
        fetched: Variants,
        asked: &[Text],
    ) -> Variants {
        let asked = asked.iter().chain(fetched.iter().map(|(key, _)| key));
        let mine: Vec<Text> = asked
            .filter(|key| {
                self.stored_keys
                    .get(*key)
                    .is_none_or(|later| *later < number)
            })
            .cloned()
            .collect();
        self.stored_keys
            .extend(mine.iter().map(|key| (key.clone(), number)));
        let is_mine = |key: &Text| self.stored_keys.get(key) == Some(&number);
        stored
            .iter()
            .filter(|(key, _)| !is_mine(key))
            .map(|(key, variant)| (key.clone(), variant.clone()))
            .chain(fetched.into_iter().filter(|(key, _)| is_mine(key)))
            .collect()
    }
}
