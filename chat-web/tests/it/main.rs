//! The page as it is built and as it is served.

mod dist;
mod serving;
