//! A map and a set for few entries: sorted, the only entry in place, several in one piece of memory no larger than it must be. Most
//! members are in one room, and there are many members.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A sorted list.
#[derive(Clone, Debug, PartialEq)]
enum Few<T> {
    None,
    One(T),
    Many(Vec<T>),
}

impl<T> Few<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            Self::None => &[],
            Self::One(only) => core::slice::from_ref(only),
            Self::Many(all) => all,
        }
    }

    fn as_mut_slice(&mut self) -> &mut [T] {
        match self {
            Self::None => &mut [],
            Self::One(only) => core::slice::from_mut(only),
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
        *self = match core::mem::replace(self, Self::None) {
            Self::One(only) if at == 0 => Self::Many(vec![new, only]),
            Self::One(only) => Self::Many(vec![only, new]),
            Self::None | Self::Many(_) => Self::One(new),
        };
    }

    fn remove(&mut self, at: usize) -> Option<T> {
        let (old, rest) = match core::mem::replace(self, Self::None) {
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

    fn into_vec(self) -> Vec<T> {
        match self {
            Self::None => Vec::new(),
            Self::One(only) => vec![only],
            Self::Many(all) => all,
        }
    }
}

/// What is empty for most, and then takes no memory.
#[derive(Debug)]
pub(crate) struct Seldom<T>(Option<Box<T>>);

impl<T> Default for Seldom<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Default> Seldom<T> {
    pub(crate) fn get(&self) -> Option<&T> {
        self.0.as_deref()
    }

    pub(crate) fn get_mut(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }

    /// Makes it, if it is not there.
    pub(crate) fn make(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }
}

/// A map of few entries.
#[derive(Clone, Debug)]
pub(crate) struct FewMap<K, V>(Few<(K, V)>);

impl<K, V> Default for FewMap<K, V> {
    fn default() -> Self {
        Self(Few::None)
    }
}

impl<K: Ord, V> FewMap<K, V> {
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

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.as_slice().iter().map(|(key, value)| (key, value))
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.as_slice().iter().map(|(key, _)| key)
    }

    #[cfg(feature = "deliberate-bugs")]
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.0.as_slice().iter().map(|(_, value)| value)
    }

    #[cfg(feature = "deliberate-bugs")]
    pub(crate) fn len(&self) -> usize {
        self.0.as_slice().len()
    }

    /// Returns what was there before.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.place(&key) {
            Ok(at) => Some(core::mem::replace(&mut self.0.as_mut_slice()[at].1, value)),
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

    fn place(&self, key: &K) -> Result<usize, usize> {
        self.0
            .as_slice()
            .binary_search_by(|(other, _)| other.cmp(key))
    }
}

impl<K, V> IntoIterator for FewMap<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_vec().into_iter()
    }
}

/// A set of few entries.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FewSet<K>(Few<K>);

impl<K> Default for FewSet<K> {
    fn default() -> Self {
        Self(Few::None)
    }
}

impl<K: Ord> FewSet<K> {
    pub(crate) fn contains(&self, key: &K) -> bool {
        self.0.as_slice().binary_search(key).is_ok()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.as_slice().len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn iter(&self) -> core::slice::Iter<'_, K> {
        self.0.as_slice().iter()
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

impl<K> IntoIterator for FewSet<K> {
    type Item = K;
    type IntoIter = std::vec::IntoIter<K>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_vec().into_iter()
    }
}

/// Written as a list.
impl<K: Serialize> Serialize for FewSet<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.as_slice())
    }
}

impl<'de, K: Deserialize<'de>> Deserialize<'de> for FewSet<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut all = Vec::deserialize(deserializer)?;
        Ok(Self(match all.len() {
            0 => Few::None,
            1 => all.pop().map_or(Few::None, Few::One),
            _ => {
                all.shrink_to_fit();
                Few::Many(all)
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_put_in_and_holds_no_memory_while_empty() {
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
        assert!(set.is_empty() && map.keys().next().is_none());
        assert!(matches!((map.0, set.0), (Few::None, Few::None)));
    }
}
