//! The log on disk as another process or a full disk sees it.

mod conformance;
mod crash;
mod directory;
mod faulty;
mod trouble;
