//! Which flags can be evaluated, and in which order.

use alloc::{collections::VecDeque, format, string::String, vec, vec::Vec};

use experiment_model::Text;

use crate::plan::Blocked;

/// Flags by position, and for each the positions of those it depends on.
pub(crate) struct Graph {
    pub(crate) dependencies: Vec<Vec<u32>>,
}

/// Flags that can never be evaluated because of their dependencies.
pub(crate) struct Blocks {
    /// By flag.
    pub(crate) blocked: Vec<Option<Blocked>>,
}

impl Graph {
    fn of(&self, flag: u32) -> &[u32] {
        self.dependencies
            .get(flag as usize)
            .map_or(&[], Vec::as_slice)
    }

    /// Finds the flags on cycles, those that depend on them, and those deeper than `depth`.
    pub(crate) fn blocks(&self, depth: usize) -> Blocks {
        let count = self.dependencies.len();
        let mut dependents: Vec<Vec<u32>> = vec![Vec::new(); count];
        let mut waits_for: Vec<usize> = vec![0; count];
        for (flag, dependencies) in (0_u32..).zip(&self.dependencies) {
            for &dependency in dependencies {
                if let Some(dependents) = dependents.get_mut(dependency as usize) {
                    dependents.push(flag);
                    bump(&mut waits_for, flag, usize::saturating_add);
                }
            }
        }

        // Flags whose dependencies are all settled, again and again; what remains is on a cycle or
        // behind one.
        let mut depths = vec![0_usize; count];
        let mut settled = vec![false; count];
        let mut ready: VecDeque<u32> = (0_u32..)
            .zip(&waits_for)
            .filter(|(_, waits)| **waits == 0)
            .map(|(flag, _)| flag)
            .collect();
        while let Some(flag) = ready.pop_front() {
            set(&mut settled, flag, true);
            let deeper = get(&depths, flag).saturating_add(1);
            for &dependent in dependents.get(flag as usize).into_iter().flatten() {
                let depth = get(&depths, dependent).max(deeper);
                set(&mut depths, dependent, depth);
                bump(&mut waits_for, dependent, usize::saturating_sub);
                if get(&waits_for, dependent) == 0 {
                    ready.push_back(dependent);
                }
            }
        }

        // Of those, take away flags on which no other remaining flag depends: they are behind a
        // cycle, not on it.
        let mut needed_by = vec![0_usize; count];
        for (flag, dependencies) in (0_u32..).zip(&self.dependencies) {
            if !get(&settled, flag) {
                for &dependency in dependencies {
                    bump(&mut needed_by, dependency, usize::saturating_add);
                }
            }
        }
        let mut behind = vec![false; count];
        let mut free: Vec<u32> = (0_u32..)
            .take(count)
            .filter(|&flag| !get(&settled, flag) && get(&needed_by, flag) == 0)
            .collect();
        while let Some(flag) = free.pop() {
            set(&mut behind, flag, true);
            for &dependency in self.of(flag) {
                bump(&mut needed_by, dependency, usize::saturating_sub);
                if !get(&settled, dependency)
                    && get(&needed_by, dependency) == 0
                    && !get(&behind, dependency)
                {
                    free.push(dependency);
                }
            }
        }

        let blocked = (0_u32..)
            .take(count)
            .map(|flag| match (get(&settled, flag), get(&behind, flag)) {
                (true, _) => (get(&depths, flag) > depth).then_some(Blocked::Depth),
                (false, true) => Some(Blocked::DependsOnCycle),
                (false, false) => Some(Blocked::Cycle),
            })
            .collect();
        Blocks { blocked }
    }

    /// The flags that are not blocked, each behind those it depends on: depth first, in the order
    /// of the flags and of their dependencies (case file `topological_sort.json`).
    pub(crate) fn order(&self, blocks: &Blocks) -> Vec<u32> {
        let runnable = |flag: u32| matches!(blocks.blocked.get(flag as usize), Some(None));
        let mut order = Vec::new();
        let mut placed = vec![false; self.dependencies.len()];
        let mut way: Vec<(u32, usize)> = Vec::new();
        for start in (0_u32..).take(self.dependencies.len()) {
            if runnable(start) && !get(&placed, start) {
                set(&mut placed, start, true);
                way.push((start, 0));
            }
            while let Some((flag, looked_at)) = way.last_mut() {
                if let Some(&dependency) = self.of(*flag).get(*looked_at) {
                    *looked_at = looked_at.saturating_add(1);
                    if !get(&placed, dependency) {
                        set(&mut placed, dependency, true);
                        way.push((dependency, 0));
                    }
                } else {
                    order.push(*flag);
                    way.pop();
                }
            }
        }
        order
    }

    /// A circle that a flag is on: `a -> b -> a`.
    pub(crate) fn circle(&self, blocks: &Blocks, start: u32, key: impl Fn(u32) -> Text) -> String {
        /// More keys than this are not shown.
        const SHOWN: usize = 8;

        let on_cycle = |flag: u32| blocks.blocked.get(flag as usize) == Some(&Some(Blocked::Cycle));
        let mut came_from = vec![u32::MAX; self.dependencies.len()];
        let mut queue = VecDeque::from([start]);
        let mut last = None;
        'search: while let Some(flag) = queue.pop_front() {
            for &dependency in self.of(flag) {
                if dependency == start {
                    last = Some(flag);
                    break 'search;
                }
                if on_cycle(dependency) && get(&came_from, dependency) == u32::MAX {
                    set(&mut came_from, dependency, flag);
                    queue.push_back(dependency);
                }
            }
        }
        // A flag between two cycles is on none of them.
        let Some(mut flag) = last else {
            return format!("{} -> …", key(start));
        };
        let mut way = vec![start];
        while flag != start {
            way.push(flag);
            flag = get(&came_from, flag);
        }
        way.push(start);
        way.reverse();
        let mut text = String::new();
        for (at, &flag) in way.iter().enumerate() {
            if at > 0 {
                text.push_str(" -> ");
            }
            if at > SHOWN {
                text.push('…');
                break;
            }
            text.push_str(&key(flag));
        }
        text
    }
}

fn get<T: Copy + Default>(list: &[T], flag: u32) -> T {
    list.get(flag as usize).copied().unwrap_or_default()
}

fn set<T>(list: &mut [T], flag: u32, value: T) {
    if let Some(place) = list.get_mut(flag as usize) {
        *place = value;
    }
}

fn bump(list: &mut [usize], flag: u32, change: fn(usize, usize) -> usize) {
    if let Some(place) = list.get_mut(flag as usize) {
        *place = change(*place, 1);
    }
}
