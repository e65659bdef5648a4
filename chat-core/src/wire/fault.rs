//! Why a body cannot be read or written.

use serde::{de, ser};

/// Why a body could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BodyError(pub String);

/// A [`BodyError`] on its way: a pointer, so that what is read fits into registers beside it.
#[derive(Debug)]
pub(crate) struct Fault(pub(crate) Box<BodyError>);

impl core::fmt::Display for Fault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

impl core::error::Error for Fault {}

impl de::Error for Fault {
    #[cold]
    fn custom<T: core::fmt::Display>(problem: T) -> Self {
        Self(Box::new(BodyError(problem.to_string())))
    }

    // Without what stands there instead: the words for any value, fractions among them, are a
    // twentieth of the page for browsers.
    #[cold]
    fn invalid_type(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format_args!("this is not {expected}"))
    }

    #[cold]
    fn invalid_value(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format_args!("this is not {expected}"))
    }
}

impl ser::Error for Fault {
    #[cold]
    fn custom<T: core::fmt::Display>(problem: T) -> Self {
        Self(Box::new(BodyError(problem.to_string())))
    }
}
