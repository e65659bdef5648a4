//! Signed records that were verified, and those that a server shows.

use chat_core::id::DeviceId;

use super::{Chains, Control, ControlError, SignedRecord};
use crate::links::Compared;

/// The outcome of following the records that a server showed.
#[derive(Debug, PartialEq, Eq)]
pub enum Shown {
    /// Nothing is new.
    Same,
    /// They continue what is known; the number of the first new record.
    Advanced {
        /// From here on.
        from: u64,
    },
    /// They end before: the server lacks the rest, which is to be handed in.
    Behind,
    /// Two records have this number. The room is closed for this client.
    Fork {
        /// The first record that is another one.
        from: u64,
    },
}

impl Control {
    /// Follows records that a server shows: all, or the last ones. What is known already may come
    /// again.
    ///
    /// # Errors
    /// See [`ControlError`]; everything is as it was then.
    pub fn follow(
        &mut self,
        records: &[SignedRecord],
        chains: &Chains,
    ) -> Result<Shown, ControlError> {
        let Some(first) = records.first() else {
            return Ok(Shown::Same);
        };
        let start = first.read()?.counter;
        let compared = (self.links).compare(start, records.iter().map(SignedRecord::hash));
        let (from, known) = match compared.map_err(|_| ControlError::WrongCounter(start))? {
            Compared::Same => return Ok(Shown::Same),
            Compared::Behind => return Ok(Shown::Behind),
            Compared::Differs { from, known } => (from, known),
        };
        if from <= self.head().counter {
            // Bytes that nobody signed are no second record, only wrong.
            let body = records[known].verified(chains)?;
            if body.origin != self.room.origin {
                return Err(ControlError::WrongRoom);
            }
            if body.counter != from {
                return Err(ControlError::WrongCounter(body.counter));
            }
            if !self.room.readers.contains_key(&body.author) {
                return Err(ControlError::NoReader(body.author));
            }
            return Ok(Shown::Fork { from });
        }
        let mut longer = self.clone();
        let mut new = records[known..].iter();
        new.try_for_each(|record| longer.append(record, chains))?;
        *self = longer;
        Ok(Shown::Advanced { from })
    }

    /// Ends a [`Shown::Fork`] for the device that alone signed what the server does not have: the
    /// device goes over to what the server shows. A server that lost those records has done no more
    /// than one that withholds them. Gives back whether that is done: no record of another device
    /// is given up.
    ///
    /// # Errors
    /// See [`ControlError`]; everything is as it was then.
    pub fn yield_to(
        &mut self,
        records: &[SignedRecord],
        chains: &Chains,
        own: DeviceId,
    ) -> Result<bool, ControlError> {
        let (Some(first), head) = (records.first(), self.head()) else {
            return Ok(false);
        };
        let start = first.read()?.counter;
        let compared = (self.links).compare(start, records.iter().map(SignedRecord::hash));
        let (from, known) = match compared.map_err(|_| ControlError::WrongCounter(start))? {
            Compared::Differs { from, known } if from > 1 && from <= head.counter => (from, known),
            _ => return Ok(false),
        };
        let common = usize::try_from(from - 1).map_err(|_| ControlError::Malformed)?;
        let (common, given_up) = self.records().split_at(common);
        let is_own = |record: &SignedRecord| record.read().is_ok_and(|it| it.device == own);
        if !given_up.iter().all(is_own) {
            return Ok(false);
        }
        let mut other = Self::verify(self.room.origin, common, chains)?;
        other.room.admitted.clone_from(&self.room.admitted);
        self.room.removed.iter().for_each(|it| other.remove(*it));
        let mut new = records[known..].iter();
        new.try_for_each(|record| other.append(record, chains))?;
        *self = other;
        Ok(true)
    }
}
