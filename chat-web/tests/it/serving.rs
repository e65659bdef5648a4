//! The page over HTTP: types, caching, compression, and its rights.

use bytes::Bytes;
use chat_web::PageService;
use http::{Request, Response, StatusCode, header};

fn ask(method: &str, path: &str, headers: &[(&str, &str)]) -> Response<Bytes> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    PageService::new().answer(&parts, parts.uri.path())
}

fn header<'a>(answer: &'a Response<Bytes>, name: &str) -> &'a str {
    answer
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

/// The paths that the page links to.
fn links() -> Vec<String> {
    let page = ask("GET", "/", &[]);
    let text = String::from_utf8(page.body().to_vec()).unwrap();
    let links = text.split('"').filter_map(|part| part.strip_prefix("./"));
    links.map(|link| format!("/{link}")).collect()
}

#[test]
fn everything_the_page_links_to_is_there_with_its_type() {
    let links = links();
    assert!(links.len() > 10, "{links:?}");
    for link in links {
        let answer = ask("GET", &link, &[]);
        assert_eq!(answer.status(), StatusCode::OK, "{link}");
        let expected = match link.rsplit_once('.').unwrap().1 {
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "wasm" => "application/wasm",
            "svg" => "image/svg+xml",
            other => panic!("{other}"),
        };
        assert_eq!(header(&answer, "content-type"), expected);
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
        assert!(header(&answer, "cache-control").contains("immutable"));
    }
}

#[test]
fn the_page_itself_is_asked_for_each_time() {
    let page = ask("GET", "/", &[]);
    assert_eq!(header(&page, "content-type"), "text/html; charset=utf-8");
    assert_eq!(header(&page, "cache-control"), "no-cache");
    let tag = header(&page, "etag");
    let again = ask("GET", "/", &[("if-none-match", tag)]);
    assert_eq!(
        (again.status(), again.body().len()),
        (StatusCode::NOT_MODIFIED, 0)
    );
    let other = ask("GET", "/", &[("if-none-match", "\"x\"")]);
    assert_eq!(other.status(), StatusCode::OK);
}

#[test]
fn compressed_is_what_the_client_takes() {
    let wasm = links()
        .into_iter()
        .find(|link| link.ends_with(".wasm"))
        .unwrap();
    let sizes = [
        ("", ""),
        ("gzip, deflate", "gzip"),
        ("gzip, deflate, br", "br"),
        ("br;q=0, gzip;q=0.5", "gzip"),
    ]
    .map(|(accept, coding)| {
        let answer = ask("GET", &wasm, &[("accept-encoding", accept)]);
        assert_eq!(header(&answer, "content-encoding"), coding);
        assert_eq!(header(&answer, "vary"), "accept-encoding");
        assert_eq!(
            header(&answer, "content-length"),
            answer.body().len().to_string()
        );
        answer.body().len()
    });
    assert!(sizes[0] > sizes[1] && sizes[1] > sizes[2], "{sizes:?}");
}

#[test]
fn the_policy_is_strict() {
    let page = ask("GET", "/", &[]);
    let policy = header(&page, "content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self' 'wasm-unsafe-eval';"));
    assert!(
        !policy.contains("unsafe-inline")
            && !policy.contains('*')
            && !policy.contains("'unsafe-eval'")
    );
    let text = String::from_utf8(page.body().to_vec()).unwrap();
    assert!(!text.contains("style=") && !text.contains("<style") && !text.contains(" onclick"));
    assert!(
        text.split("<script")
            .skip(1)
            .all(|script| script.contains("src="))
    );
}

#[test]
fn only_the_page_that_asks_for_a_server_may_connect_elsewhere() {
    let (parts, ()) = Request::builder().body(()).unwrap().into_parts();
    for (page, connects, endpoint) in [
        (PageService::new(), "connect-src 'self';", "ws"),
        (PageService::of_known_people(), "connect-src 'self';", "ws"),
        (
            PageService::of_any_server(),
            "connect-src 'self' ws: wss:;",
            "",
        ),
    ] {
        let answer = page.answer(&parts, "/");
        assert!(header(&answer, "content-security-policy").contains(connects));
        let text = String::from_utf8(answer.body().to_vec()).unwrap();
        assert!(text.contains(&format!("name=\"chat-endpoint\" content=\"{endpoint}\"")));
    }
}

#[test]
fn other_things_are_not_there() {
    for path in [
        "/etc/passwd",
        "/index.html",
        "/../Cargo.toml",
        "/b-0/app.js",
        "//",
        "/manifest.json",
    ] {
        assert_eq!(
            ask("GET", path, &[]).status(),
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    assert_eq!(
        ask("POST", "/", &[]).status(),
        StatusCode::METHOD_NOT_ALLOWED
    );
    let head = ask("HEAD", "/", &[]);
    assert!(head.body().is_empty() && header(&head, header::CONTENT_LENGTH.as_str()) != "0");
}
