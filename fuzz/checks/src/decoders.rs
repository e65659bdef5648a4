//! Frames and messages: whatever the bytes are, they are refused or mean one thing.

use core::fmt::Debug;

use chat_core::wire::{
    ClientMessage, Decoder, Form, FrameTooLarge, PREFIX, Record, ServerMessage, Tagged,
};

/// The first byte says how long the pieces are, the second how long a frame may be; the rest is the
/// stream. Splitting it changes neither the frames nor where it ends. The same with lines.
pub fn frame_decoder(bytes: &[u8]) {
    let [piece, limit, stream @ ..] = bytes else {
        return;
    };
    let limit = u32::from(*limit) * 16;
    let piece = usize::from(*piece) + 1;
    for (new, by_hand) in [
        (Decoder::new as fn(u32) -> Decoder, by_hand as ByHand),
        (Decoder::lines, lines_by_hand),
    ] {
        let whole = decode(new(limit), [stream]);
        assert_eq!(decode(new(limit), stream.chunks(piece)), whole);
        assert_eq!(decode(new(limit), stream.chunks(1)), whole);
        assert_eq!(by_hand(stream, limit), whole);
    }
}

/// The frames, and what ended the stream before its end.
type Split = (Vec<Vec<u8>>, Option<FrameTooLarge>);
type ByHand = fn(&[u8], u32) -> Split;

fn decode<'a>(mut decoder: Decoder, pieces: impl IntoIterator<Item = &'a [u8]>) -> Split {
    let mut bodies = Vec::new();
    for piece in pieces {
        if let Err(e) = decoder.feed(piece, |body| bodies.push(body.to_vec())) {
            return (bodies, Some(e));
        }
    }
    (bodies, None)
}

/// The same without state.
fn by_hand(mut rest: &[u8], limit: u32) -> Split {
    let mut bodies = Vec::new();
    while let Some((prefix, after)) = rest.split_first_chunk::<PREFIX>() {
        let announced = u32::from_be_bytes(*prefix);
        if announced > limit {
            return (
                bodies,
                Some(FrameTooLarge {
                    announced,
                    allowed: limit,
                }),
            );
        }
        let Some((body, after)) = after.split_at_checked(announced as usize) else {
            break;
        };
        bodies.push(body.to_vec());
        rest = after;
    }
    (bodies, None)
}

fn lines_by_hand(stream: &[u8], limit: u32) -> Split {
    let (mut bodies, mut lines) = (Vec::new(), stream.split(|byte| *byte == b'\n').peekable());
    while let Some(line) = lines.next() {
        let body = line.strip_suffix(b"\r").unwrap_or(line);
        if body.len() > limit as usize {
            let announced = limit + 1;
            let allowed = limit;
            return (bodies, Some(FrameTooLarge { announced, allowed }));
        }
        if lines.peek().is_some() && !body.is_empty() {
            bodies.push(body.to_vec());
        }
    }
    (bodies, None)
}

/// The bytes as a message of a client, of a server and as a stored record, in both forms. What can
/// be read is written and read again as the same.
pub fn message_decoder(bytes: &[u8]) {
    for form in [Form::Postcard, Form::Json] {
        stable::<ClientMessage>(form, bytes);
        stable::<ServerMessage>(form, bytes);
    }
    if let Ok(record) = Record::from_bytes(bytes) {
        assert_eq!(Record::from_bytes(&record.to_bytes()).as_ref(), Ok(&record));
    }
}

fn stable<T: Tagged + Debug + PartialEq>(form: Form, bytes: &[u8]) {
    let Ok(message) = form.decode::<T>(bytes) else {
        return;
    };
    let written = form.encode(&message).body();
    assert_eq!(form.decode::<T>(&written).as_ref(), Ok(&message));
    // A message that was not understood may be malformed in one form and good in the other.
    if format!("{message:?}").contains("Unknown") {
        return;
    }
    let other = if form == Form::Json {
        Form::Postcard
    } else {
        Form::Json
    };
    assert_eq!(
        other.decode::<T>(&other.encode(&message).body()).as_ref(),
        Ok(&message),
        "in the other form"
    );
}
