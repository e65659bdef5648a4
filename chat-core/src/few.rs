//! A map and a set for few entries: sorted, in one piece of memory no larger than it must be, and none while empty. Most members
//! are in one room, and there are many members.

use serde::{Deserialize, Serialize};

/// A map of few entries.
#[derive(Clone, Debug)]
pub(crate) struct FewMap<K, V>(Vec<(K, V)>);

impl<K, V> Default for FewMap<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord, V> FewMap<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.place(key).ok().map(|at| &self.0[at].1)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.place(key).ok().map(|at| &mut self.0[at].1)
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.place(key).is_ok()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.iter().map(|(key, _)| key)
    }

    #[cfg(feature = "deliberate-bugs")]
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }

    #[cfg(feature = "deliberate-bugs")]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns what was there before.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.place(&key) {
            Ok(at) => Some(core::mem::replace(&mut self.0[at].1, value)),
            Err(at) => {
                insert(&mut self.0, at, (key, value));
                None
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.place(key).ok()?;
        Some(remove(&mut self.0, at).1)
    }

    fn place(&self, key: &K) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| other.cmp(key))
    }
}

impl<K, V> IntoIterator for FewMap<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// A set of few entries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FewSet<K>(Vec<K>);

impl<K> Default for FewSet<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord> FewSet<K> {
    pub(crate) fn contains(&self, key: &K) -> bool {
        self.0.binary_search(key).is_ok()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> core::slice::Iter<'_, K> {
        self.0.iter()
    }

    /// Whether it was not there.
    pub(crate) fn insert(&mut self, key: K) -> bool {
        match self.0.binary_search(&key) {
            Ok(_) => false,
            Err(at) => {
                insert(&mut self.0, at, key);
                true
            }
        }
    }

    /// Whether it was there.
    pub(crate) fn remove(&mut self, key: &K) -> bool {
        match self.0.binary_search(key) {
            Ok(at) => {
                remove(&mut self.0, at);
                true
            }
            Err(_) => false,
        }
    }
}

impl<K> IntoIterator for FewSet<K> {
    type Item = K;
    type IntoIter = std::vec::IntoIter<K>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// The first takes place for one.
fn insert<T>(all: &mut Vec<T>, at: usize, new: T) {
    if all.len() == all.capacity() {
        all.reserve_exact(all.len().max(1));
    }
    all.insert(at, new);
}

/// The last takes its place with it.
fn remove<T>(all: &mut Vec<T>, at: usize) -> T {
    let old = all.remove(at);
    if all.is_empty() {
        *all = Vec::new();
    }
    old
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_put_in_and_holds_nothing_while_empty() {
        let (mut map, mut set) = (FewMap::default(), FewSet::default());
        for key in [5, 1, 9, 3] {
            assert_eq!(map.insert(key, key * 10), None);
            assert!(set.insert(key) && !set.insert(key));
        }
        assert_eq!(map.insert(9, 91), Some(90));
        assert_eq!(map.keys().copied().collect::<Vec<_>>(), [1, 3, 5, 9]);
        assert_eq!(set.iter().copied().collect::<Vec<_>>(), [1, 3, 5, 9]);
        assert_eq!((map.get(&9), map.get(&4)), (Some(&91), None));
        assert!(map.contains_key(&1) && set.contains(&1) && !set.contains(&2));
        for key in [1, 3, 5, 9] {
            assert!(map.remove(&key).is_some() && map.remove(&key).is_none());
            assert!(set.remove(&key) && !set.remove(&key));
        }
        assert_eq!((map.0.capacity(), set.0.capacity()), (0, 0));
        assert!(set.is_empty());
    }
}
