//! Maps and sets of few entries, for server, client and page alike: sorted, the only entry in
//! place, several in one piece of memory no larger than needed. Most members are in one room, and
//! there are many members; a client is sent over a network before it runs, and these are much less
//! code than the standard library's.

use core::{iter::FusedIterator, mem, slice};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A sorted list.
#[derive(Clone, Debug, PartialEq)]
enum Sorted<T> {
    None,
    One(T),
    /// At least two.
    Many(Vec<T>),
}

impl<T> Sorted<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            Self::None => &[],
            Self::One(only) => slice::from_ref(only),
            Self::Many(all) => all,
        }
    }

    fn as_mut_slice(&mut self) -> &mut [T] {
        match self {
            Self::None => &mut [],
            Self::One(only) => slice::from_mut(only),
            Self::Many(all) => all,
        }
    }

    fn insert(&mut self, at: usize, new: T) {
        if let Self::Many(all) = self {
            if all.len() == all.capacity() {
                all.reserve_exact(all.len());
            }
            return all.insert(at, new);
        }
        *self = match mem::replace(self, Self::None) {
            Self::One(only) if at == 0 => Self::Many(vec![new, only]),
            Self::One(only) => Self::Many(vec![only, new]),
            Self::None | Self::Many(_) => Self::One(new),
        };
    }

    fn remove(&mut self, at: usize) -> Option<T> {
        let (old, rest) = match mem::replace(self, Self::None) {
            Self::None => (None, Self::None),
            Self::One(only) => (Some(only), Self::None),
            Self::Many(mut all) => {
                let old = all.remove(at);
                let rest = match all.len() {
                    1 => all.pop().map_or(Self::None, Self::One),
                    _ => Self::Many(all),
                };
                (Some(old), rest)
            }
        };
        *self = rest;
        old
    }

    fn shrink(&mut self) {
        if let Self::Many(all) = self {
            all.shrink_to_fit();
        }
    }

    fn into_vec(self) -> Vec<T> {
        match self {
            Self::None => Vec::new(),
            Self::One(only) => vec![only],
            Self::Many(all) => all,
        }
    }
}

/// A value that is empty for most owners, and then takes one word of memory.
#[derive(Debug)]
pub(crate) struct LazyBox<T>(Option<Box<T>>);

impl<T> Default for LazyBox<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Default> LazyBox<T> {
    pub(crate) fn get(&self) -> Option<&T> {
        self.0.as_deref()
    }

    pub(crate) fn get_mut(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }

    /// The value, made if it is not there.
    pub(crate) fn make(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }

    /// Takes the value out; its memory is given back.
    pub(crate) fn take(&mut self) -> T {
        self.0.take().map_or_else(T::default, |value| *value)
    }
}

/// An ordered map of few entries. Looking up is logarithmic; inserting and removing move what
/// comes after, so large values belong in a box.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SmallMap<K, V>(Sorted<(K, V)>);

impl<K, V> Default for SmallMap<K, V> {
    fn default() -> Self {
        Self(Sorted::None)
    }
}

impl<K: Ord, V> SmallMap<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.place(key).ok().map(|at| &self.0.as_slice()[at].1)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let at = self.place(key).ok()?;
        Some(&mut self.0.as_mut_slice()[at].1)
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.place(key).is_ok()
    }

    /// Returns what was there before.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.place(&key) {
            Ok(at) => Some(mem::replace(&mut self.0.as_mut_slice()[at].1, value)),
            Err(at) => {
                self.0.insert(at, (key, value));
                None
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.place(key).ok()?;
        self.0.remove(at).map(|(_, value)| value)
    }

    /// The value of a key, made if it is not there.
    pub(crate) fn or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        let at = match self.place(&key) {
            Ok(at) => at,
            Err(at) => {
                self.0.insert(at, (key, V::default()));
                at
            }
        };
        &mut self.0.as_mut_slice()[at].1
    }

    fn place(&self, key: &K) -> Result<usize, usize> {
        self.0
            .as_slice()
            .binary_search_by(|(other, _)| other.cmp(key))
    }
}

impl<K, V> SmallMap<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.0.as_slice().len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self.0, Sorted::None)
    }

    pub(crate) fn clear(&mut self) {
        self.0 = Sorted::None;
    }

    pub(crate) fn first(&self) -> Option<(&K, &V)> {
        self.iter().next()
    }

    pub(crate) fn pop_first(&mut self) -> Option<(K, V)> {
        if self.is_empty() {
            return None;
        }
        self.0.remove(0)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> + FusedIterator {
        self.0.as_slice().iter().map(|(key, value)| (key, value))
    }

    pub(crate) fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + FusedIterator {
        self.0.as_slice().iter().map(|(key, _)| key)
    }

    pub(crate) fn values(&self) -> impl DoubleEndedIterator<Item = &V> + FusedIterator {
        self.0.as_slice().iter().map(|(_, value)| value)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.as_mut_slice().iter_mut().map(|(_, value)| value)
    }
}

impl<K, V> IntoIterator for SmallMap<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_vec().into_iter()
    }
}

/// In any order, quickest in that of the keys; of several values of a key the last is kept.
impl<K: Ord, V> FromIterator<(K, V)> for SmallMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(all: I) -> Self {
        let mut map = Self::default();
        for (key, value) in all {
            map.insert(key, value);
        }
        map.0.shrink();
        map
    }
}

/// Written as a list of pairs.
impl<K: Serialize, V: Serialize> Serialize for SmallMap<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.as_slice())
    }
}

impl<'de, K: Ord + Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for SmallMap<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from_iter)
    }
}

/// A set of few entries.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SmallSet<K>(Sorted<K>);

impl<K> Default for SmallSet<K> {
    fn default() -> Self {
        Self(Sorted::None)
    }
}

impl<K: Ord> SmallSet<K> {
    pub(crate) fn contains(&self, key: &K) -> bool {
        self.0.as_slice().binary_search(key).is_ok()
    }

    /// Whether it was not there.
    pub(crate) fn insert(&mut self, key: K) -> bool {
        match self.0.as_slice().binary_search(&key) {
            Ok(_) => false,
            Err(at) => {
                self.0.insert(at, key);
                true
            }
        }
    }

    /// Whether it was there.
    pub(crate) fn remove(&mut self, key: &K) -> bool {
        match self.0.as_slice().binary_search(key) {
            Ok(at) => self.0.remove(at).is_some(),
            Err(_) => false,
        }
    }
}

impl<K> SmallSet<K> {
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self.0, Sorted::None)
    }

    pub(crate) fn iter(&self) -> slice::Iter<'_, K> {
        self.0.as_slice().iter()
    }
}

impl<K> IntoIterator for SmallSet<K> {
    type Item = K;
    type IntoIter = std::vec::IntoIter<K>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_vec().into_iter()
    }
}

/// In any order, quickest in that of the keys, with repeats.
impl<K: Ord> FromIterator<K> for SmallSet<K> {
    fn from_iter<I: IntoIterator<Item = K>>(all: I) -> Self {
        let mut set = Self::default();
        for key in all {
            set.insert(key);
        }
        set.0.shrink();
        set
    }
}

/// Written as a list.
impl<K: Serialize> Serialize for SmallSet<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.as_slice())
    }
}

impl<'de, K: Ord + Deserialize<'de>> Deserialize<'de> for SmallSet<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from_iter)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The same as the standard library's map and set, as far as anybody can see.
        #[test]
        fn an_ordered_map_and_set(
            steps in prop::collection::vec((0_u8..6, 0_u8..8, any::<u8>()), 0..80),
        ) {
            let (mut map, mut model) = (SmallMap::default(), BTreeMap::new());
            let (mut set, mut members) = (SmallSet::default(), BTreeSet::new());
            for (step, key, value) in steps {
                match step {
                    0..=2 => {
                        prop_assert_eq!(map.insert(key, value), model.insert(key, value));
                        prop_assert_eq!(set.insert(key), members.insert(key));
                    }
                    3 => {
                        prop_assert_eq!(map.remove(&key), model.remove(&key));
                        prop_assert_eq!(set.remove(&key), members.remove(&key));
                    }
                    4 => {
                        *map.or_default(key) ^= value;
                        *model.entry(key).or_default() ^= value;
                    }
                    _ => prop_assert_eq!(map.pop_first(), model.pop_first()),
                }
                prop_assert_eq!(map.get(&key), model.get(&key));
                prop_assert_eq!(map.contains_key(&key), model.contains_key(&key));
                prop_assert!(map.iter().eq(model.iter()));
                prop_assert_eq!(map.first(), model.first_key_value());
                prop_assert_eq!((map.len(), map.is_empty()), (model.len(), model.is_empty()));
                prop_assert_eq!(set.contains(&key), members.contains(&key));
                prop_assert!(set.iter().eq(members.iter()));
            }
            prop_assert_eq!(&set, &members.into_iter().rev().collect());
        }
    }

    #[test]
    fn no_memory_is_held_while_empty() {
        let (mut map, mut set) = (SmallMap::default(), SmallSet::default());
        for key in [5, 1, 9, 3] {
            map.insert(key, key * 10);
            set.insert(key);
        }
        for key in [1, 3, 5, 9] {
            assert!(map.remove(&key).is_some() && map.remove(&key).is_none());
            assert!(set.remove(&key) && !set.remove(&key));
        }
        assert!(matches!((map.0, set.0), (Sorted::None, Sorted::None)));
    }

    #[test]
    fn a_lazy_box_is_made_when_needed_and_given_back() {
        let mut lazy = LazyBox::<Vec<u8>>::default();
        assert!(lazy.get().is_none() && lazy.get_mut().is_none());
        lazy.make().push(1);
        assert_eq!(lazy.take(), [1]);
        assert_eq!(lazy.get(), None);
    }
}
