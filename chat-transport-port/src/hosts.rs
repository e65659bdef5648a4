//! The names by which browsers may ask for a server.

use std::net::IpAddr;

use hyper::{
    header,
    http::{request::Parts, uri::Authority},
};

/// Host names, in small letters. Besides, addresses are taken, and this machine's own name: nobody
/// can have those lead to another place.
///
/// A page elsewhere whose name is made to lead here (DNS rebinding) is of the same origin as that
/// for which it asks, as its browser sees it. Its name stands in the request all the same.
#[derive(Clone, Debug)]
pub(crate) struct Hosts(pub(crate) Vec<String>);

impl Hosts {
    /// The host of a request that is for another server.
    pub(crate) fn foreign(&self, request: &Parts, forwarded: Option<&Authority>) -> Option<String> {
        let said = request
            .headers
            .get(header::HOST)
            .map(|host| host.as_bytes());
        let host = match forwarded {
            Some(authority) => authority.host().to_owned(),
            // A request without one is refused for that.
            None => match Authority::try_from(said?) {
                Ok(authority) => authority.host().to_owned(),
                Err(_) => return None,
            },
        };
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let is_own = bare.parse::<IpAddr>().is_ok()
            || host == "localhost"
            || host.ends_with(".localhost")
            || self.0.contains(&host);
        (!is_own).then_some(host)
    }
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    #[test]
    fn names_that_were_given_and_addresses_are_its_own() {
        let hosts = Hosts(vec!["chat.example.org".to_owned()]);
        let foreign = |host: &str, forwarded: Option<&str>| {
            let request = Request::get("/").header("host", host).body(()).unwrap();
            let forwarded = forwarded.map(|host| host.parse().unwrap());
            hosts.foreign(&request.into_parts().0, forwarded.as_ref())
        };
        for own in [
            "chat.example.org",
            "Chat.Example.ORG.:7037",
            "127.0.0.1:7037",
            "[::1]",
            "[fe80::1]:1",
            "192.0.2.1",
            "localhost:7037",
            "chat.localhost",
        ] {
            assert_eq!(foreign(own, None), None, "{own}");
        }
        for other in [
            "evil.example:7037",
            "chat.example.org.evil.example",
            "example.org",
            "localhost.evil.example",
        ] {
            assert!(foreign(other, None).is_some(), "{other}");
            // A proxy of ours says what it was asked for.
            assert_eq!(foreign(other, Some("chat.example.org")), None);
            assert!(foreign("chat.example.org", Some(other)).is_some());
        }
        let none = Request::get("/").body(()).unwrap().into_parts().0;
        assert_eq!(hosts.foreign(&none, None), None);
    }
}
