//! The built files, as they stand in `dist/`.

/// One of them, as it is and compressed.
pub(crate) struct File {
    pub(crate) name: &'static str,
    pub(crate) raw: &'static [u8],
    pub(crate) brotli: &'static [u8],
    pub(crate) gzip: &'static [u8],
}

include!("../dist/files.rs");
