//! What the house claims of itself, in figures that do not depend on the machine where that is
//! possible: what is written and said for what people do, what is kept of those who are not there,
//! and how soon a server with a large log is there.

pub mod kept;
pub mod start;
pub mod traffic;
