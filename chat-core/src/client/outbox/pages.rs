//! Lists that come in pages.

use super::super::command::Command;
use crate::wire::server::{MemberInfo, RoomInfo};

/// Entries of a list that are collected from its pages.
const LISTED: usize = 1_000_000;

/// The entries of a list so far.
#[derive(Debug, Default)]
pub(super) struct Pages {
    pub(super) rooms: Vec<RoomInfo>,
    pub(super) members: Vec<MemberInfo>,
}

impl Pages {
    /// Takes in a page of groups. Whether there is more to ask for.
    ///
    /// # Errors
    /// It is not in order, and so would never end.
    pub(super) fn add_rooms(
        &mut self,
        command: &Command,
        rooms: Vec<RoomInfo>,
        more: bool,
    ) -> Result<bool, String> {
        let more = add(&mut self.rooms, rooms, more, |room| room.number)?;
        if let Command::Find { number } = command {
            // The next one, where there is none of this number.
            self.rooms.retain(|room| room.number == *number);
            return Ok(false);
        }
        Ok(more)
    }

    /// Takes in a page of members. Whether there is more to ask for.
    ///
    /// # Errors
    /// It is not in order, and so would never end.
    pub(super) fn add_members(
        &mut self,
        members: Vec<MemberInfo>,
        more: bool,
    ) -> Result<bool, String> {
        add(&mut self.members, members, more, |member| member.member)
    }
}

fn add<T, K: Ord>(
    so_far: &mut Vec<T>,
    page: Vec<T>,
    more: bool,
    key: impl Fn(&T) -> K,
) -> Result<bool, String> {
    let more = more && !page.is_empty();
    let from = so_far.len().saturating_sub(1);
    so_far.extend(page);
    if !so_far[from..].is_sorted_by(|one, next| key(one) < key(next)) {
        return Err("a list that is not in order".to_owned());
    }
    Ok(more && so_far.len() < LISTED)
}
