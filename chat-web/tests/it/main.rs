//! The page as it is built and as it is served, and what of its scripts needs no browser.

mod dist;
mod scripts;
mod serving;
