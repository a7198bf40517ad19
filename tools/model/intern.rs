//! Values as small numbers: a state holds the numbers, the values are kept once.
//!
//! Two values are the same if they print the same. Number 0 is never given: it means that there is nothing.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, PoisonError, RwLock};

/// All values of one kind that were met.
pub(crate) struct Interner<T> {
    table: RwLock<Table<T>>,
}

struct Table<T> {
    numbers: HashMap<(u64, u64), u32>,
    values: Vec<Arc<T>>,
}

impl<T: Debug> Interner<T> {
    pub(crate) fn new() -> Self {
        Self { table: RwLock::new(Table { numbers: HashMap::new(), values: Vec::new() }) }
    }

    /// The number of a value.
    pub(crate) fn number(&self, value: T) -> u32 {
        let text = format!("{value:?}");
        let key = (hash(&text, 1), hash(&text, 2));
        if let Some(number) = self.read(|table| table.numbers.get(&key).copied()) {
            return number;
        }
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let next = u32::try_from(table.values.len() + 1).unwrap_or(u32::MAX);
        let number = *table.numbers.entry(key).or_insert(next);
        if number == next {
            table.values.push(Arc::new(value));
        }
        number
    }

    /// The value of a number; `None` for 0.
    pub(crate) fn value(&self, number: u32) -> Option<Arc<T>> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.read(|table| table.values.get(index).cloned())
    }

    pub(crate) fn len(&self) -> usize {
        self.read(|table| table.values.len())
    }

    fn read<R>(&self, ask: impl FnOnce(&Table<T>) -> R) -> R {
        ask(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Two salts make 128 bits, so that no two values are ever taken for one.
fn hash(text: &str, salt: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (salt, text).hash(&mut hasher);
    hasher.finish()
}
