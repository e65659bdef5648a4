//! The claims that the house makes of itself, in figures that do not depend on the machine where
//! that is possible: records and words between hubs per action of members, memory kept for those
//! who are away, and how soon a server with a large log is there.

pub mod kept;
pub mod start;
pub mod traffic;
