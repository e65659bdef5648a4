//! Orders of the operator: invitations to a closed house, whichever worker does them.

use chat_runtime::{
    Client, NotReady, OrderError, Server,
    chat_core::{
        invite::{InviteSecret, NewInvite},
        wire::ErrorCode,
    },
    client_config,
    memory::{self, MemoryConnector},
};

async fn comes(
    connector: &MemoryConnector,
    nick: &str,
    invite: Option<&InviteSecret>,
) -> Result<Client, ErrorCode> {
    let mut config = client_config(nick).unwrap();
    config.invite = invite.cloned();
    config.waits_for_name = false;
    let (client, _) = Client::connect(connector.clone(), config);
    match client.ready().await {
        Ok(_) => Ok(client),
        Err(NotReady::Refused(failure)) => Err(failure.code),
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invitations_hold_at_all_workers() {
    let (transport, connector) = memory::listener();
    let server = Server::builder()
        .invite_only(true)
        .workers(3)
        .listen(transport)
        .start()
        .unwrap();
    let operator = server.handle();
    let refused = comes(&connector, "adina", None).await.err();
    assert_eq!(refused, Some(ErrorCode::InvitationNeeded));
    let uses = 3;
    let new = NewInvite {
        uses,
        ..NewInvite::default()
    };
    let made = operator.invite(new).await.unwrap();
    // At a worker each, at the same time; there is one use less than there are people.
    let nicks = ["adina", "berl", "cora", "dov"];
    let all = nicks.map(|nick| comes(&connector, nick, Some(&made.secret)));
    let [a, b, c, d] = all;
    let come = tokio::join!(a, b, c, d);
    let come = [come.0, come.1, come.2, come.3];
    let refused: Vec<ErrorCode> = come
        .iter()
        .filter_map(|one| one.as_ref().err().copied())
        .collect();
    assert_eq!(refused, [ErrorCode::InvitationEnded]);
    let [kept] = &operator.invites().await.unwrap()[..] else {
        panic!("there is one");
    };
    assert_eq!((kept.id, kept.used), (made.secret.id(), uses));

    let other = operator.invite(NewInvite::default()).await.unwrap();
    operator.revoke(other.secret.id()).await.unwrap();
    let refused = comes(&connector, "ezra", Some(&other.secret)).await.err();
    assert_eq!(refused, Some(ErrorCode::InvitationEnded));
    let none = NewInvite {
        uses: 0,
        ..NewInvite::default()
    };
    match operator.invite(none).await {
        Err(OrderError::Refused(refusal)) => assert_eq!(refusal.code, ErrorCode::BadRequest),
        other => panic!("{other:?}"),
    }
    server.stop().await;
    let ended = operator.invites().await;
    assert!(matches!(ended, Err(OrderError::Ended(_))), "{ended:?}");
}
