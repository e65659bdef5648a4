//! Random bytes of the system, from which the library's generators are seeded.

use crate::exit::Failure;

/// 32 bytes fit for a key.
pub(crate) fn bytes() -> Result<[u8; 32], Failure> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::Fault(format!("the system gives no random bytes: {error}")))?;
    Ok(bytes)
}
