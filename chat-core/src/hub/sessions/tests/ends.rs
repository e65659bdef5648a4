use crate::wire::{CloseReason, server::Closing};

use super::*;

/// The reason why her connection ends, if it does.
fn closing(scene: &mut Scene) -> Option<CloseReason> {
    scene.told().into_iter().find_map(|message| match message {
        ServerMessage::Closing(Closing { reason, .. }) => Some(reason),
        _ => None,
    })
}

#[test]
fn a_session_that_is_in_at_another_hub_ends_here_alone_and_comes_back() {
    let mut scene = Scene::new();
    scene.told();
    let elsewhere = |scene: &mut Scene, session| {
        let mut turn = scene.bench.turn();
        scene.sessions.close_session(&mut turn, ADA, session);
    };
    elsewhere(&mut scene, SessionId(2));
    assert_eq!(closing(&mut scene), None);
    assert!(scene.sessions.is_in(CONN));
    elsewhere(&mut scene, SessionId(1));
    // Which of both is the newer one is not known: the program that is there says so.
    assert_eq!(closing(&mut scene), Some(CloseReason::Resync));
    assert!(!scene.sessions.is_here(ADA));
}
