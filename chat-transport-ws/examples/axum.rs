//! The chat in somebody's own application, beside their own authentication: people are who they are
//! there. `cargo run -p chat-transport-ws --example axum --features axum -- 127.0.0.1:8080`
#![allow(clippy::print_stdout, reason = "it says where it listens")]

use axum::{
    Router,
    extract::{Path, Request},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{Redirect, Response},
    routing::get,
};
use chat_runtime::{Server, chat_core::hub::Identity};
use chat_transport_ws::{Admission, Refused, WsService};
use chat_web::PageService;

/// The user whom the application's authentication knows.
#[derive(Clone)]
struct User(String);

/// An authentication, such as yours but not as good: it believes whatever it is told.
async fn authenticate(mut request: Request, next: Next) -> Response {
    if let Some(user) = user(request.headers()) {
        request.extensions_mut().insert(User(user));
    }
    next.run(request).await
}

/// The name in a header, or in the cookie that `/login/NAME` sets.
fn user(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let cookie = || {
        let mut all = text("cookie")?.split("; ");
        all.find_map(|cookie| cookie.strip_prefix("user="))
    };
    text("x-user").or_else(cookie).map(str::to_owned)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let chat = Server::builder().start()?;
    let members_only =
        WsService::new(chat.handle()).admit(|request| match request.extensions.get::<User>() {
            Some(User(name)) if name != "mallory" => {
                // A name in the chat has no spaces, whatever it has here.
                let nick = name.replace(char::is_whitespace, "-");
                Ok(Admission::new().known_as(Identity::new(name, nick)))
            }
            Some(User(name)) => Err(Refused::new(
                StatusCode::FORBIDDEN,
                format!("not you, {name}"),
            )),
            None => Err(Refused::new(StatusCode::UNAUTHORIZED, "log in first")),
        });
    let app = Router::new()
        .route(
            "/",
            get(|| async { "an application with a chat at /chat/" }),
        )
        .route_service("/chat/ws", members_only)
        .nest_service("/chat/", PageService::of_known_people())
        .route(
            "/login/{name}",
            get(|Path(name): Path<String>| async move {
                let cookie = format!("user={name}; Path=/; HttpOnly; SameSite=Strict");
                ([(header::SET_COOKIE, cookie)], Redirect::to("/chat/"))
            }),
        )
        .layer(middleware::from_fn(authenticate));

    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening http {}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
