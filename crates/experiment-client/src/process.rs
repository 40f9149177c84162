//! [`PerProcess`]: state that a child process must not share with its parent.

use std::{fmt, mem, process, sync::Arc};

use arc_swap::{ArcSwap, Guard};

/// A value that belongs to one process. After a fork the child gets a new one, made without
/// touching the parent's, whose locks may be held by threads that do not exist in the child.
pub(crate) struct PerProcess<T>(ArcSwap<Owned<T>>);

/// A value and the process that made it.
pub(crate) struct Owned<T> {
    process: u32,
    pub(crate) value: T,
}

impl<T: Send + Sync> PerProcess<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(ArcSwap::from_pointee(Owned {
            process: process::id(),
            value,
        }))
    }

    /// The value of this process. In a child that has none yet it is made by `child`, which is
    /// shown the parent's and must only read from it what never changes.
    pub(crate) fn get(&self, child: impl FnOnce(&T) -> T) -> Guard<Arc<Owned<T>>> {
        let current = self.0.load();
        if current.process == process::id() {
            return current;
        }
        self.renew(&current, child);
        drop(current);
        self.0.load()
    }

    /// The value of this process, unless it has none yet.
    pub(crate) fn peek(&self) -> Option<Guard<Arc<Owned<T>>>> {
        let current = self.0.load();
        (current.process == process::id()).then_some(current)
    }

    #[cold]
    fn renew(&self, parents: &Guard<Arc<Owned<T>>>, child: impl FnOnce(&T) -> T) {
        let own = Arc::new(Owned {
            process: process::id(),
            value: child(&parents.value),
        });
        // If another thread of the child was faster, its value stays.
        let before = self.0.compare_and_swap(parents, own);
        if Arc::ptr_eq(&before, parents) {
            // Never dropped: that could wait for a lock, or write to what the parent still uses.
            mem::forget(Guard::into_inner(before));
        }
    }
}

impl<T> fmt::Debug for PerProcess<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerProcess").finish_non_exhaustive()
    }
}
