//! The duties of a server by RFC 6455, in bytes made by hand.

use std::{future::poll_fn, io::IoSlice, net::Ipv4Addr};

use crate::raw::{pair, read, rest};
use chat_runtime::{
    Interest,
    chat_core::wire::{CloseReason, Form},
};
use chat_transport_ws::{WsOptions, close_code};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A client's frame: its first byte, and its payload in the shortest form.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(0x80 | length as u8),
        length @ 126..=65_535 => {
            bytes.push(0x80 | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(
        payload
            .iter()
            .enumerate()
            .map(|(place, byte)| byte ^ MASK[place % 4]),
    );
    bytes
}

/// A server's close frame with this code and these words.
fn close(code: u16, words: &str) -> Vec<u8> {
    let mut bytes = vec![0x88, 2 + words.len() as u8];
    bytes.extend(code.to_be_bytes());
    bytes.extend(words.as_bytes());
    bytes
}

/// Sends bytes to a connection for JSON, and says which messages came of it, and all that was
/// answered.
async fn answer(bytes: &[u8]) -> (Vec<Vec<u8>>, Vec<u8>) {
    let (mut near, mut far) = pair("chat.v1.json", WsOptions::default()).await;
    near.write_all(bytes).await.unwrap();
    near.shutdown().await.unwrap();
    let mut messages = Vec::new();
    while let Ok(Some(message)) = read(&mut *far).await {
        messages.push(message);
    }
    drop(far);
    (messages, rest(&mut near).await)
}

/// The code of the close frame that ends the answer to these bytes.
async fn fault(bytes: &[u8]) -> u16 {
    let (_, answer) = answer(bytes).await;
    assert!(
        answer.len() >= 4 && answer[0] == 0x88 && answer.len() == usize::from(answer[1]) + 2,
        "{answer:?}"
    );
    u16::from_be_bytes([answer[2], answer[3]])
}

/// A peer that says nothing more after the server's close frame need not wait for the end until the
/// server's patience is over: the end is there.
#[tokio::test]
async fn the_end_comes_with_the_close_frame() {
    let (mut near, mut far) = pair("chat.v1.json", WsOptions::default()).await;
    poll_fn(|cx| far.poll_close(cx, Some(CloseReason::Protocol)))
        .await
        .unwrap();
    assert_eq!(rest(&mut near).await, close(4_005, ""));
    // The client's answer is read all the same.
    near.write_all(&frame(0x88, &4_005_u16.to_be_bytes()))
        .await
        .unwrap();
    assert_eq!(read(&mut *far).await.unwrap(), None);
}

#[tokio::test]
async fn messages_come_one_by_one() {
    let bytes = [
        frame(0x81, b"{}"),
        frame(0x81, b""),
        frame(0x81, &[b'x'; 126]),
        frame(0x81, &[b'y'; 65_536]),
    ]
    .concat();
    let (messages, answer) = answer(&bytes).await;
    let lengths: Vec<usize> = messages.iter().map(Vec::len).collect();
    assert_eq!(lengths, [2, 0, 126, 65_536]);
    assert_eq!((messages[0].as_slice(), answer), (&b"{}"[..], vec![]));
}

#[tokio::test]
async fn fragments_are_put_together_with_control_frames_between_them() {
    let bytes = [
        frame(0x01, b"za\xc5"),
        frame(0x89, b"one"),
        frame(0x00, b""),
        frame(0x8a, b"nobody asked"),
        frame(0x80, b"\xbc"),
        frame(0x81, b"next"),
    ]
    .concat();
    let (messages, answer) = answer(&bytes).await;
    assert_eq!(messages, ["zaż".as_bytes(), b"next"]);
    assert_eq!(answer, b"\x8a\x03one");
}

#[tokio::test]
async fn a_ping_is_answered_with_its_payload() {
    let payload = [7; 125];
    let (_, first) = answer(&frame(0x89, &payload)).await;
    assert_eq!(first, [&[0x8a, 125], &payload[..]].concat());
    assert_eq!(answer(&frame(0x89, b"")).await.1, [0x8a, 0]);
}

#[tokio::test]
async fn who_floods_with_control_frames_is_closed() {
    for kind in [0x89, 0x8a] {
        let (messages, answer) = answer(&frame(kind, b"").repeat(300)).await;
        assert!(messages.is_empty());
        let flood = close(4010, "more control frames than may be");
        assert!(answer.ends_with(&flood), "{answer:?}");
    }
}

#[tokio::test]
async fn a_client_that_closes_is_answered_with_its_code() {
    for (payload, expected) in [
        (&b""[..], vec![0x88, 0]),
        (b"\x03\xe8bye", close(1000, "")),
        (b"\x0f\xa0", close(4000, "")),
    ] {
        let bytes = [frame(0x88, payload), frame(0x81, b"after the end")].concat();
        assert_eq!(answer(&bytes).await, (vec![], expected));
    }
}

#[tokio::test]
async fn what_breaks_the_rules_is_1002() {
    let unmasked = |first: u8| vec![first, 0x02, b'{', b'}'];
    for (bytes, why) in [
        (
            frame(0xc1, b"{}"),
            "the first reserved bit: compression was not agreed on",
        ),
        (frame(0xa1, b"{}"), "the second reserved bit"),
        (frame(0x91, b"{}"), "the third reserved bit"),
        (frame(0x83, b"{}"), "a reserved opcode of data"),
        (frame(0x87, b"{}"), "a reserved opcode of data"),
        (frame(0x8b, b""), "a reserved opcode of control"),
        (frame(0x8f, b""), "a reserved opcode of control"),
        (unmasked(0x81), "not masked"),
        (unmasked(0x89), "a ping that is not masked"),
        (frame(0x09, b""), "a ping in fragments"),
        (frame(0x08, b""), "a close frame in fragments"),
        (frame(0x89, &[0; 126]), "a ping too long"),
        (frame(0x80, b"{}"), "a continuation of nothing"),
        (
            [frame(0x01, b"{"), frame(0x81, b"{}")].concat(),
            "a message within another",
        ),
        (vec![0x81, 0xfe, 0, 125], "a length of 125 in three bytes"),
        (
            vec![0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
            "a length of 65,535 in nine bytes",
        ),
        (
            vec![0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0],
            "a length of 64 bits",
        ),
        (frame(0x88, b"\x03"), "half a close code"),
        (frame(0x88, b"\x03\xe7"), "close code 999"),
        (frame(0x88, b"\x03\xec"), "close code 1004"),
        (frame(0x88, b"\x03\xed"), "close code 1005"),
        (frame(0x88, b"\x03\xee"), "close code 1006"),
        (frame(0x88, b"\x03\xf7"), "close code 1015"),
        (frame(0x88, b"\x07\xd0"), "close code 2000"),
        (frame(0x88, b"\x13\x88"), "close code 5000"),
    ] {
        // The mask of those that end early is still to come.
        let bytes = [bytes, vec![0; 4]].concat();
        assert_eq!(fault(&bytes).await, 1002, "{why}");
    }
}

#[tokio::test]
async fn text_that_is_not_utf_8_is_1007() {
    for bytes in [
        frame(0x81, b"\xff"),
        frame(0x81, b"\xed\xa0\x80"),
        frame(0x81, b"cut \xc5"),
        [frame(0x01, b"a\xc5"), frame(0x80, b"\xc5")].concat(),
        frame(0x88, b"\x03\xe8\xff"),
    ] {
        assert_eq!(fault(&bytes).await, 1007, "{bytes:?}");
    }
}

#[tokio::test]
async fn the_other_kind_of_message_is_1003() {
    assert_eq!(fault(&frame(0x82, b"{}")).await, 1003);
    let (mut near, mut far) = pair("chat.v1.postcard", WsOptions::default()).await;
    near.write_all(&frame(0x81, b"{}")).await.unwrap();
    assert!(read(&mut *far).await.is_err());
    assert_eq!(near.read_u32().await.unwrap() & 0xffff, 1003);
}

#[tokio::test]
async fn a_message_that_is_too_long_is_1009_before_it_has_come() {
    let announced = |length: u64| [&[0x81, 0xff][..], &length.to_be_bytes(), &MASK].concat();
    assert_eq!(fault(&announced(65_537)).await, 1009);
    assert_eq!(fault(&announced(u64::MAX >> 1)).await, 1009);
    let in_pieces = [
        frame(0x01, &[b'x'; 65_000]),
        vec![0x80, 0xfe, 0x02, 0x19],
        MASK.to_vec(),
    ]
    .concat();
    assert_eq!(fault(&in_pieces).await, 1009);
}

#[tokio::test]
async fn the_fault_is_told_although_more_is_coming() {
    let (mut near, mut far) = pair("chat.v1.json", WsOptions::default()).await;
    near.write_all(&[&[0xff; 2][..], &[0; 20_000]].concat())
        .await
        .unwrap();
    assert!(read(&mut *far).await.is_err());
    drop(far);
    // The server still takes what comes, so that the system does not cut it off.
    near.write_all(&[0; 20_000]).await.unwrap();
    near.shutdown().await.unwrap();
    let answer = rest(&mut near).await;
    assert_eq!(answer[..4], [0x88, answer[1], 0x03, 0xea]);
}

#[tokio::test]
async fn the_server_closes_with_its_reason() {
    for (place, reason) in CloseReason::ALL.iter().enumerate() {
        let (mut near, mut far) = pair("chat.v1.json", WsOptions::default()).await;
        poll_fn(|cx| far.poll_ready(cx, Interest::Write))
            .await
            .unwrap();
        assert_eq!(far.try_write_vectored(&[IoSlice::new(b"last")]).unwrap(), 4);
        poll_fn(|cx| far.poll_close(cx, Some(*reason)))
            .await
            .unwrap();
        assert_eq!(close_code(*reason), 4_000 + place as u16);
        let expected = [b"\x81\x04last".to_vec(), close(close_code(*reason), "")].concat();
        let mut seen = vec![0; expected.len()];
        near.read_exact(&mut seen).await.unwrap();
        assert_eq!(seen, expected);
        // The server waits for the client's close; frames before that are still read.
        near.write_all(
            &[
                frame(0x81, b"{}"),
                frame(0x89, b"?"),
                frame(0x88, &seen[8..10]),
            ]
            .concat(),
        )
        .await
        .unwrap();
        assert_eq!(read(&mut *far).await.unwrap().as_deref(), Some(&b"{}"[..]));
        assert_eq!(read(&mut *far).await.unwrap(), None);
        drop(far);
        assert_eq!(rest(&mut near).await, b"");
    }
}

#[tokio::test]
async fn messages_go_out_with_the_shortest_header() {
    let (mut near, mut far) = pair("chat.v1.postcard", WsOptions::default()).await;
    assert_eq!(
        (far.form(), far.address()),
        (Form::Postcard, Some(Ipv4Addr::LOCALHOST.into()))
    );
    let lengths = [1, 125, 126, 65_535, 65_536];
    let mut expected = Vec::new();
    for (length, header) in lengths.into_iter().zip([
        &[0x82, 1][..],
        &[0x82, 125],
        &[0x82, 126, 0, 126],
        &[0x82, 126, 0xff, 0xff],
        &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0],
    ]) {
        expected.extend_from_slice(header);
        expected.extend(vec![length as u8; length]);
    }
    let messages: Vec<Vec<u8>> = lengths
        .into_iter()
        .map(|length| vec![length as u8; length])
        .collect();
    let writer = async {
        let mut left: Vec<IoSlice<'_>> = messages
            .iter()
            .map(|message| IoSlice::new(message))
            .collect();
        while !left.is_empty() {
            poll_fn(|cx| far.poll_ready(cx, Interest::Write))
                .await
                .unwrap();
            let Ok(mut written) = far.try_write_vectored(&left) else {
                continue;
            };
            while written > 0 {
                // Whole messages only.
                written = written.checked_sub(left.remove(0).len()).unwrap();
            }
        }
        poll_fn(|cx| far.poll_flush(cx)).await.unwrap();
    };
    let mut seen = vec![0; expected.len()];
    let (_, got) = tokio::join!(writer, near.read_exact(&mut seen));
    got.unwrap();
    assert!(seen == expected);
}

#[tokio::test]
async fn a_message_that_the_system_takes_in_pieces_arrives_whole() {
    let (mut near, mut far) = pair("chat.v1.postcard", WsOptions::default()).await;
    // Far more than the socket holds, so that it stops in the middle of one, and pings meanwhile.
    let message = vec![5; 300_000];
    near.write_all(&frame(0x89, b"!")).await.unwrap();
    let pieces = [IoSlice::new(&message); 40];
    let mut taken = 0;
    while let Ok(written) = far.try_write_vectored(&pieces) {
        assert!(written > 0 && written % message.len() == 0);
        taken += written / message.len();
    }
    let reader = async {
        for _ in 0..taken {
            assert_eq!(near.read_u16().await.unwrap(), 0x827f);
            assert_eq!(near.read_u64().await.unwrap(), 300_000);
            let mut seen = vec![0; message.len()];
            near.read_exact(&mut seen).await.unwrap();
            assert!(seen == message);
        }
        assert_eq!(near.read_u16().await.unwrap(), 0x8a01);
        near.write_all(&frame(0x82, b"got it")).await.unwrap();
    };
    let (message, ()) = tokio::join!(read(&mut *far), reader);
    assert_eq!(message.unwrap().unwrap(), b"got it");
}

#[test]
fn the_specification_lists_every_code() {
    let specification = include_str!("../../../docs/protocol.md");
    for (place, reason) in CloseReason::ALL.iter().enumerate() {
        let row = format!("| {place} | `{reason}` | ");
        let line = specification.lines().find(|line| line.starts_with(&row));
        let end = format!(" | {} |", close_code(*reason));
        assert!(line.is_some_and(|line| line.ends_with(&end)), "{row}…{end}");
    }
}
