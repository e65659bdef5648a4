//! A map of which a snapshot of one moment is written while the map goes on changing.

use core::ops::{
    Bound::{Excluded, Unbounded},
    ControlFlow, RangeBounds,
};
use std::collections::{BTreeMap, btree_map};

/// An ordered map. While a snapshot is being written, the map keeps the old value of each entry
/// that changes before its turn; otherwise the cost is that of a `BTreeMap`.
#[derive(Clone, Debug)]
pub(crate) struct Kept<K, V> {
    map: BTreeMap<K, V>,
    moment: Option<Box<Moment<K, V>>>,
}

/// The moment that is being written.
#[derive(Clone, Debug)]
struct Moment<K, V> {
    /// Entries up to this key are written.
    written: Option<K>,
    /// Old values beyond that key, of entries that have changed since; none where there was no
    /// entry.
    before: BTreeMap<K, Option<V>>,
}

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self {
            map: BTreeMap::new(),
            moment: None,
        }
    }
}

/// Maps of equal entries are equal, whether a snapshot is being written or not.
impl<K: PartialEq, V: PartialEq> PartialEq for Kept<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.map == other.map
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for Kept<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self {
            map: entries.into_iter().collect(),
            moment: None,
        }
    }
}

impl<K: Ord + Clone, V: Clone> Kept<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.map.contains_key(key)
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.map.get(key)
    }

    pub(crate) fn iter(&self) -> btree_map::Iter<'_, K, V> {
        self.map.iter()
    }

    pub(crate) fn keys(&self) -> btree_map::Keys<'_, K, V> {
        self.map.keys()
    }

    pub(crate) fn values(&self) -> btree_map::Values<'_, K, V> {
        self.map.values()
    }

    pub(crate) fn range(&self, range: impl RangeBounds<K>) -> btree_map::Range<'_, K, V> {
        self.map.range(range)
    }

    /// Returns the value before.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.keep(&key);
        self.map.insert(key, value)
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        self.keep(key);
        self.map.remove(key)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.keep(key);
        self.map.get_mut(key)
    }

    /// The entry of this key, made if it is not there.
    pub(crate) fn or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        self.keep(&key);
        self.map.entry(key).or_default()
    }

    pub(crate) fn clear(&mut self) {
        let entries = core::mem::take(&mut self.map);
        if let Some(moment) = &mut self.moment {
            for (key, value) in entries {
                if moment.is_ahead(&key) {
                    moment.before.entry(key).or_insert(Some(value));
                }
            }
        }
    }

    /// From now on [`write`](Self::write) hands out the entries of this moment.
    pub(crate) fn freeze(&mut self) {
        self.moment = Some(Box::new(Moment {
            written: None,
            before: BTreeMap::new(),
        }));
    }

    /// That moment is not written any further.
    pub(crate) fn thaw(&mut self) {
        self.moment = None;
    }

    /// Hands out the next entries of the moment, in order, until `take` breaks; that entry is the
    /// last. Breaks if there may be more, and continues if there are none.
    pub(crate) fn write(
        &mut self,
        mut take: impl FnMut(&K, &V) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let Some(moment) = &mut self.moment else {
            return ControlFlow::Continue(());
        };
        let from = moment.written.clone().map_or(Unbounded, Excluded);
        let mut now = self.map.range((from.clone(), Unbounded)).peekable();
        let mut before = moment.before.range((from, Unbounded)).peekable();
        let last = loop {
            let (key, value) = match (now.peek(), before.peek()) {
                (None, None) => {
                    self.moment = None;
                    return ControlFlow::Continue(());
                }
                (Some((key, _)), Some((old, _))) if key >= old => {
                    now.next_if(|(key, _)| key == old);
                    let (key, value) = before.next().expect("it was peeked");
                    (key, value.as_ref())
                }
                (None, Some(_)) => {
                    let (key, value) = before.next().expect("it was peeked");
                    (key, value.as_ref())
                }
                (Some(_), _) => {
                    let (key, value) = now.next().expect("it was peeked");
                    (key, Some(value))
                }
            };
            if value.is_some_and(|value| take(key, value).is_break()) {
                break key.clone();
            }
        };
        let written = moment.before.split_off(&last);
        moment.before = written;
        moment.before.remove(&last);
        moment.written = Some(last);
        ControlFlow::Break(())
    }

    /// Keeps the value of a key that is about to change, if its turn is yet to come.
    fn keep(&mut self, key: &K) {
        if let Some(moment) = &mut self.moment
            && moment.is_ahead(key)
            && !moment.before.contains_key(key)
        {
            moment
                .before
                .insert(key.clone(), self.map.get(key).cloned());
        }
    }
}

impl<K: Ord, V> Moment<K, V> {
    fn is_ahead(&self, key: &K) -> bool {
        self.written.as_ref().is_none_or(|written| key > written)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u8, u8),
        Remove(u8),
        Change(u8, u8),
        Make(u8),
        Clear,
        Write(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        let key = 0..24u8;
        prop_oneof![
            3 => (key.clone(), any::<u8>()).prop_map(|(key, value)| Step::Insert(key, value)),
            3 => key.clone().prop_map(Step::Remove),
            3 => (key.clone(), any::<u8>()).prop_map(|(key, value)| Step::Change(key, value)),
            1 => key.prop_map(Step::Make),
            1 => Just(Step::Clear),
            4 => (1..5u8).prop_map(Step::Write),
        ]
    }

    /// Writes up to so many entries; whether there may be more.
    fn write(map: &mut Kept<u8, u8>, most: u8, parts: &mut Vec<(u8, u8)>) -> bool {
        let mut left = most;
        let more = map.write(|key, value| {
            parts.push((*key, *value));
            left -= 1;
            if left == 0 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        more.is_break()
    }

    proptest! {
        #[test]
        fn the_parts_give_the_moments_entries_whatever_changes_meanwhile(
            before in proptest::collection::btree_map(0..24u8, any::<u8>(), 0..24),
            steps in proptest::collection::vec(step(), 0..60),
        ) {
            let mut map: Kept<u8, u8> = before.clone().into_iter().collect();
            let mut model = before.clone();
            let mut parts = Vec::new();
            map.freeze();
            for step in steps {
                match step {
                    Step::Insert(key, value) => {
                        prop_assert_eq!(map.insert(key, value), model.insert(key, value));
                    }
                    Step::Remove(key) => {
                        prop_assert_eq!(map.remove(&key), model.remove(&key));
                    }
                    Step::Change(key, value) => {
                        if let Some(changed) = map.get_mut(&key) {
                            *changed = value;
                        }
                        model.entry(key).and_modify(|changed| *changed = value);
                    }
                    Step::Make(key) => {
                        *map.or_default(key) |= 1;
                        *model.entry(key).or_default() |= 1;
                    }
                    Step::Clear => {
                        map.clear();
                        model.clear();
                    }
                    Step::Write(most) => {
                        write(&mut map, most, &mut parts);
                    }
                }
                prop_assert!(map.iter().eq(model.iter()));
            }
            while write(&mut map, 3, &mut parts) {}
            prop_assert_eq!(parts, before.into_iter().collect::<Vec<_>>());
            // No old value is kept any more.
            prop_assert!(map.moment.is_none());
        }
    }

    #[test]
    fn nothing_is_kept_of_what_is_written_already() {
        let mut map: Kept<u8, u8> = (0..10).map(|key| (key, key)).collect();
        map.freeze();
        write(&mut map, 5, &mut Vec::new());
        map.insert(4, 0);
        assert!(map.moment.as_ref().unwrap().before.is_empty());
        map.insert(5, 0);
        map.insert(5, 1);
        assert_eq!(map.moment.as_ref().unwrap().before[&5], Some(5));
        map.thaw();
        assert!(!write(&mut map, 5, &mut Vec::new()));
    }
}
