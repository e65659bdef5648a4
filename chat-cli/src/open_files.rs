//! How many files, and so connections, this process may have open.

/// Raises the soft limit to the hard one. A failure is worth a warning, not the end.
#[cfg(unix)]
pub(crate) fn raise_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    if let Err(error) = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    ) {
        let current = current.map_or_else(|| "any number".to_owned(), |limit| limit.to_string());
        tracing::warn!("the limit of open files stays at {current}: {error}");
    }
}

/// There is no such limit here.
#[cfg(not(unix))]
pub(crate) fn raise_limit() {}

#[cfg(all(test, unix))]
mod tests {
    use rustix::process::{Resource, getrlimit};

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        super::raise_limit();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
