//! E, the chat room: who arrives and who goes is told to everybody.

use scenarios::{Program, untimed};

#[cfg(unix)]
#[test]
fn e1_the_nickname_is_asked_for() {
    if !scenarios::Terminal::is_possible() {
        return;
    }
    let (_server, address) = Program::server(&[]);
    let mut rui = Program::in_lobby(&address, "Rui", &[]);
    let mut ines = scenarios::Terminal::start(&[&address]);
    ines.answer("nick: ", "Rui");
    ines.answer("nick: ", "Inês");
    ines.until("connected as Inês");
    ines.answer("choice: ", "4");
    ines.until("joined the lobby");
    assert_eq!(untimed(&rui.until("joined")), "Inês joined");
}

#[test]
fn e1_everybody_is_told_who_arrived_and_who_arrives_that_it_is_connected() {
    let (_server, address) = Program::server(&[]);
    let mut rui = Program::in_lobby(&address, "Rui", &[]);
    let mut joana = Program::in_lobby(&address, "Joana", &[]);
    rui.until("Joana joined");
    let mut ines = Program::client(&address, "Inês", &[]);
    ines.until_error("connected as Inês");
    assert_eq!(ines.line(), "joined the lobby");
    for present in [&mut rui, &mut joana] {
        assert_eq!(untimed(&present.until("joined")), "Inês joined");
    }
}

#[test]
fn e2_everybody_is_told_when_somebody_leaves() {
    let (_server, address) = Program::server(&[]);
    let [mut rui, mut joana, mut ines] =
        ["Rui", "Joana", "Inês"].map(|nick| Program::in_lobby(&address, nick, &[]));
    ines.say("/quit");
    assert_eq!(ines.ended().code, Some(0));
    for present in [&mut rui, &mut joana] {
        assert_eq!(untimed(&present.until(" left")), "Inês left");
    }
}

#[cfg(unix)]
#[test]
fn e2_everybody_is_told_when_a_connection_dies() {
    use scenarios::{Folder, Signal};
    let folder = Folder::new();
    let config = folder.file("chat.toml", "[limits]\ngrace = 0.1");
    let (_server, address) = Program::server(&["--config", &config]);
    let [mut rui, mut joana, ines] =
        ["Rui", "Joana", "Inês"].map(|nick| Program::in_lobby(&address, nick, &[]));
    rui.until("Inês joined");
    ines.signal(Signal::Kill);
    for present in [&mut rui, &mut joana] {
        assert_eq!(untimed(&present.until(" gone")), "Inês is gone");
    }
}

#[test]
fn e3_a_server_and_as_many_clients_as_one_likes_talk() {
    let (_server, address) = Program::server(&[]);
    let nicks: Vec<String> = (0..8).map(|n| format!("pessoa-{n}")).collect();
    let mut clients: Vec<Program> = nicks
        .iter()
        .map(|nick| Program::in_lobby(&address, nick, &[]))
        .collect();
    for (client, nick) in clients.iter_mut().zip(&nicks) {
        client.say(&format!("olá de {nick}"));
    }
    // One order for all, everything once.
    let orders: Vec<Vec<String>> = clients
        .iter_mut()
        .map(|client| {
            (0..nicks.len())
                .map(|_| untimed(&client.until(": olá de ")).to_owned())
                .collect()
        })
        .collect();
    assert!(orders.iter().all(|order| *order == orders[0]));
    let mut said = orders[0].clone();
    said.sort_unstable();
    let expected: Vec<String> = nicks
        .iter()
        .map(|nick| format!("{nick}: olá de {nick}"))
        .collect();
    assert_eq!(said, expected);
}
