//! The frames of RFC 6455, section 5, without a socket: those that come, in any pieces; the headers
//! of those that go.

use std::ops::Range;

/// Bytes of the longest header that a server writes; a client's has four more.
pub(crate) const HEADER: usize = 10;

/// Bytes of the longest header there is.
const LONGEST_HEADER: usize = 14;

/// Bytes that a control frame may carry.
const CONTROL: usize = 125;

/// Fragments without a byte that may come in a row.
const EMPTY: u8 = 16;

/// The type of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

/// The peer has broken the rules; the connection ends with this code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub(crate) struct Violation {
    pub(crate) code: u16,
    pub(crate) why: &'static str,
}

impl Violation {
    pub(crate) const PROTOCOL: u16 = 1002;
    pub(crate) const UNSUPPORTED: u16 = 1003;
    pub(crate) const NOT_UTF8: u16 = 1007;
    pub(crate) const TOO_LARGE: u16 = 1009;
}

const fn against(code: u16, why: &'static str) -> Violation {
    Violation { code, why }
}

/// A decoded event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// All bytes are used up, and nothing is complete.
    More,
    /// A whole message, here in the bytes that were given.
    Here(Range<usize>),
    /// A whole message, put together from pieces.
    Gathered(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    /// The peer ends the connection; the code is its own, if it gave one.
    Close(Option<u16>),
}

/// Reads frames. Has memory of its own only while a message or a control frame is half received.
#[derive(Debug)]
pub(crate) struct Decoder {
    /// Whether frames come masked: those of a client must, those of a server must not.
    masked: bool,
    /// The type that messages have to be of.
    kind: Opcode,
    /// Bytes of the longest message.
    limit: usize,
    header: [u8; LONGEST_HEADER],
    header_len: u8,
    frame: Option<Frame>,
    /// The first frame of the message under way was not its last.
    fragmented: bool,
    /// Its last fragments without a byte.
    empty: u8,
    message: Vec<u8>,
    control: Vec<u8>,
}

/// The frame whose payload is being read.
#[derive(Clone, Copy, Debug)]
struct Frame {
    last: bool,
    opcode: Opcode,
    mask: [u8; 4],
    /// Bytes of its payload read so far, and those still to come.
    read: usize,
    left: usize,
}

impl Decoder {
    /// `kind` is `Text` or `Binary`.
    pub(crate) fn new(masked: bool, kind: Opcode, limit: usize) -> Self {
        Self {
            masked,
            kind,
            limit,
            header: [0; LONGEST_HEADER],
            header_len: 0,
            frame: None,
            fragmented: false,
            empty: 0,
            message: Vec::new(),
            control: Vec::new(),
        }
    }

    /// Takes the next bytes, up to the end of what is complete by them, and says how many these
    /// were. Masks are taken off in place.
    pub(crate) fn decode(&mut self, bytes: &mut [u8]) -> Result<(usize, Event), Violation> {
        let mut at = 0;
        loop {
            let mut frame = match self.frame.take() {
                Some(frame) => frame,
                None => match self.read_header(bytes, &mut at)? {
                    Some(frame) => frame,
                    None => return Ok((at, Event::More)),
                },
            };
            let begin = at;
            at += frame.left.min(bytes.len() - at);
            let payload = &mut bytes[begin..at];
            unmask(payload, frame.mask, frame.read);
            frame.read += payload.len();
            frame.left -= payload.len();
            let whole = frame.read == payload.len();
            if frame.opcode.is_control() {
                self.control.extend_from_slice(payload);
            } else if !(whole && frame.left == 0 && frame.last && !self.fragmented) {
                self.message.extend_from_slice(payload);
            }
            if frame.left > 0 {
                self.frame = Some(frame);
                return Ok((at, Event::More));
            }
            if frame.opcode.is_control() {
                return Ok((at, self.control(frame.opcode)?));
            }
            self.count_empty(frame)?;
            if !frame.last {
                self.fragmented = true;
            } else if whole && !self.fragmented {
                self.check(&bytes[begin..at])?;
                return Ok((at, Event::Here(begin..at)));
            } else {
                self.fragmented = false;
                let message = std::mem::take(&mut self.message);
                self.check(&message)?;
                return Ok((at, Event::Gathered(message)));
            }
        }
    }

    fn read_header(&mut self, bytes: &[u8], at: &mut usize) -> Result<Option<Frame>, Violation> {
        loop {
            let have = usize::from(self.header_len);
            let need = match have {
                0 | 1 => 2,
                _ => {
                    // Nothing that cannot be is waited for.
                    self.check_first_bytes()?;
                    let length = match self.header[1] & 0x7f {
                        126 => 2,
                        127 => 8,
                        _ => 0,
                    };
                    2 + length + if self.masked { 4 } else { 0 }
                }
            };
            if have >= 2 && have == need {
                self.header_len = 0;
                return self.parse_header(need).map(Some);
            }
            let now = (need - have).min(bytes.len() - *at);
            if now == 0 {
                return Ok(None);
            }
            self.header[have..have + now].copy_from_slice(&bytes[*at..*at + now]);
            self.header_len += now as u8;
            *at += now;
        }
    }

    fn check_first_bytes(&self) -> Result<(), Violation> {
        let [first, second] = [self.header[0], self.header[1]];
        let bad = |why| Err(against(Violation::PROTOCOL, why));
        if first & 0x70 != 0 {
            return bad("reserved bits are set");
        }
        let Some(opcode) = Opcode::of(first & 0x0f) else {
            return bad("a reserved opcode");
        };
        if (second & 0x80 != 0) != self.masked {
            return bad(if self.masked {
                "a client's frame that is not masked"
            } else {
                "a server's frame that is masked"
            });
        }
        if opcode.is_control() {
            if first & 0x80 == 0 {
                return bad("a control frame in fragments");
            }
            if usize::from(second & 0x7f) > CONTROL {
                return bad("a control frame of more than 125 bytes");
            }
        } else if (opcode == Opcode::Continuation) != self.fragmented {
            return bad(if self.fragmented {
                "a new message within another"
            } else {
                "a continuation of nothing"
            });
        } else if opcode != Opcode::Continuation && opcode != self.kind {
            let why = match self.kind {
                Opcode::Text => "a binary message where text is spoken",
                _ => "a text message where binary is spoken",
            };
            return Err(against(Violation::UNSUPPORTED, why));
        }
        Ok(())
    }

    fn parse_header(&self, need: usize) -> Result<Frame, Violation> {
        let header = &self.header[..need];
        let opcode = Opcode::of(header[0] & 0x0f).expect("it was checked");
        let (length, least) = match header[1] & 0x7f {
            126 => (u64::from(u16::from_be_bytes([header[2], header[3]])), 126),
            127 => {
                let bytes = header[2..10].try_into().expect("there are eight");
                (u64::from_be_bytes(bytes), 65_536)
            }
            length => (u64::from(length), 0),
        };
        if length < least {
            return Err(against(
                Violation::PROTOCOL,
                "a length not in its shortest form",
            ));
        }
        if length >> 63 != 0 {
            return Err(against(
                Violation::PROTOCOL,
                "a length of more than 63 bits",
            ));
        }
        let room = self.limit.saturating_sub(self.message.len());
        let left = match usize::try_from(length) {
            Ok(left) if opcode.is_control() || left <= room => left,
            _ => {
                return Err(against(
                    Violation::TOO_LARGE,
                    "a message longer than allowed",
                ));
            }
        };
        let mask = match self.masked {
            true => header[need - 4..].try_into().expect("there are four"),
            false => [0; 4],
        };
        Ok(Frame {
            last: header[0] & 0x80 != 0,
            opcode,
            mask,
            read: 0,
            left,
        })
    }

    fn check(&self, message: &[u8]) -> Result<(), Violation> {
        if self.kind == Opcode::Text && std::str::from_utf8(message).is_err() {
            return Err(against(Violation::NOT_UTF8, "text that is not UTF-8"));
        }
        Ok(())
    }

    /// Fragments without a byte cost something and mean nothing.
    fn count_empty(&mut self, frame: Frame) -> Result<(), Violation> {
        self.empty = match (frame.last, frame.read) {
            (false, 0) if self.empty == EMPTY => {
                return Err(against(
                    Violation::PROTOCOL,
                    "one empty fragment after the other",
                ));
            }
            (false, 0) => self.empty + 1,
            _ => 0,
        };
        Ok(())
    }

    fn control(&mut self, opcode: Opcode) -> Result<Event, Violation> {
        let payload = std::mem::take(&mut self.control);
        Ok(match opcode {
            Opcode::Ping => Event::Ping(payload),
            Opcode::Close => Event::Close(close_code(&payload)?),
            _ => Event::Pong,
        })
    }
}

/// The code of a close frame.
fn close_code(payload: &[u8]) -> Result<Option<u16>, Violation> {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return match payload {
            [] => Ok(None),
            _ => Err(against(Violation::PROTOCOL, "half a close code")),
        };
    };
    let code = u16::from_be_bytes(*code);
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(against(
            Violation::PROTOCOL,
            "a close code that cannot be sent",
        ));
    }
    if std::str::from_utf8(reason).is_err() {
        return Err(against(
            Violation::NOT_UTF8,
            "a close reason that is not UTF-8",
        ));
    }
    Ok(Some(code))
}

impl Opcode {
    fn of(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    fn number(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    fn is_control(self) -> bool {
        self.number() >= 8
    }
}

/// Writes the header of a whole, unmasked message or control frame, and says how long it is.
pub(crate) fn header(opcode: Opcode, length: usize, into: &mut [u8; HEADER]) -> usize {
    into[0] = 0x80 | opcode.number();
    match length {
        0..=125 => {
            into[1] = length as u8;
            2
        }
        126..=65_535 => {
            into[1] = 126;
            into[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            4
        }
        _ => {
            into[1] = 127;
            into[2..].copy_from_slice(&(length as u64).to_be_bytes());
            10
        }
    }
}

/// Adds a frame to the bytes that are to be written, masked if there is a mask.
pub(crate) fn extend(out: &mut Vec<u8>, opcode: Opcode, mask: Option<[u8; 4]>, payload: &[u8]) {
    let mut head = [0; HEADER];
    let length = header(opcode, payload.len(), &mut head);
    if mask.is_some() {
        head[1] |= 0x80;
    }
    out.reserve(length + 4 + payload.len());
    out.extend_from_slice(&head[..length]);
    out.extend_from_slice(mask.as_ref().map_or(&[], |mask| mask.as_slice()));
    let begin = out.len();
    out.extend_from_slice(payload);
    unmask(&mut out[begin..], mask.unwrap_or_default(), 0);
}

/// Puts a mask on, or takes it off; the first byte is the one numbered `at` of the frame.
fn unmask(bytes: &mut [u8], mut mask: [u8; 4], at: usize) {
    if mask == [0; 4] {
        return;
    }
    mask.rotate_left(at % 4);
    let wide = u64::from(u32::from_ne_bytes(mask)) << 32 | u64::from(u32::from_ne_bytes(mask));
    let (eights, rest) = bytes.as_chunks_mut::<8>();
    for eight in eights {
        *eight = (u64::from_ne_bytes(*eight) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Everything that comes of these bytes, given in pieces of these lengths (the last one again
    /// and again).
    fn all(mut decoder: Decoder, bytes: &[u8], pieces: &[usize]) -> (Vec<Event>, Option<u16>) {
        let (mut events, mut rest, mut turn) = (Vec::new(), bytes, 0);
        while !rest.is_empty() {
            let length = pieces
                .get(turn)
                .or(pieces.last())
                .map_or(rest.len(), |p| (*p).clamp(1, rest.len()));
            turn += 1;
            let mut piece = rest[..length].to_vec();
            rest = &rest[length..];
            let mut at = 0;
            loop {
                match decoder.decode(&mut piece[at..]) {
                    Err(violation) => return (events, Some(violation.code)),
                    Ok((_, Event::More)) => break,
                    // Where it stands is no difference.
                    Ok((used, Event::Here(range))) => {
                        events.push(Event::Gathered(piece[at..][range].to_vec()));
                        at += used;
                    }
                    Ok((used, event)) => {
                        events.push(event);
                        at += used;
                    }
                }
            }
        }
        (events, None)
    }

    fn server(limit: usize) -> Decoder {
        Decoder::new(true, Opcode::Text, limit)
    }

    /// Frames as a client sends them, right and wrong ones.
    fn frames() -> impl Strategy<Value = Vec<u8>> {
        let text = "[a-ż]{0,90}|[ -~]{120,300}";
        let frame = (0..16_u8, any::<bool>(), any::<[u8; 4]>(), text);
        let frames = proptest::collection::vec(frame, 0..9);
        frames.prop_map(|frames| {
            let mut bytes = Vec::new();
            for (number, last, mask, text) in frames {
                // Mostly text in fragments.
                let opcode = Opcode::of(number).unwrap_or(Opcode::Continuation);
                let begin = bytes.len();
                extend(&mut bytes, opcode, Some(mask), text.as_bytes());
                if !last && !opcode.is_control() {
                    bytes[begin] &= 0x7f;
                }
            }
            bytes
        })
    }

    proptest! {
        #[test]
        fn splitting_changes_nothing(bytes in frames(), pieces in proptest::collection::vec(1..60_usize, 1..40)) {
            let whole = all(server(1_000), &bytes, &[]);
            prop_assert_eq!(all(server(1_000), &bytes, &pieces), whole);
        }

        #[test]
        fn no_bytes_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            pieces in proptest::collection::vec(1..9_usize, 1..40),
            masked in any::<bool>(),
        ) {
            let decoder = || Decoder::new(masked, Opcode::Binary, 100);
            prop_assert_eq!(all(decoder(), &bytes, &pieces), all(decoder(), &bytes, &[]));
        }

        #[test]
        fn a_mask_comes_off_wherever_it_is_taken_up(bytes in proptest::collection::vec(any::<u8>(), 0..40), mask: [u8; 4], at in 0..9_usize) {
            let mut masked = bytes.clone();
            unmask(&mut masked, mask, at);
            let one_by_one: Vec<u8> = bytes.iter().enumerate().map(|(place, byte)| byte ^ mask[(at + place) % 4]).collect();
            prop_assert_eq!(masked, one_by_one);
        }

        #[test]
        fn what_is_written_can_be_read(length in 0..70_000_usize, mask: [u8; 4]) {
            let message = vec![b'x'; length];
            let mut bytes = Vec::new();
            extend(&mut bytes, Opcode::Text, Some(mask), &message);
            prop_assert_eq!(all(server(70_000), &bytes, &[]), (vec![Event::Gathered(message)], None));
        }
    }

    #[test]
    fn sixteen_empty_fragments_in_a_row_are_enough() {
        let fragments = |lengths: &[usize]| {
            let mut bytes = Vec::new();
            for (number, length) in lengths.iter().enumerate() {
                let opcode = [Opcode::Continuation, Opcode::Text][usize::from(number == 0)];
                let begin = bytes.len();
                extend(&mut bytes, opcode, Some([1; 4]), &vec![b'a'; *length]);
                bytes[begin] &= 0x7f;
                extend(&mut bytes, Opcode::Ping, Some([1; 4]), b"");
            }
            all(server(1_000), &bytes, &[]).1
        };
        assert_eq!(fragments(&[0; 16]), None);
        assert_eq!(fragments(&[0; 17]), Some(Violation::PROTOCOL));
        assert_eq!(fragments(&[&[0; 16][..], &[1], &[0; 16]].concat()), None);
    }

    #[test]
    fn nothing_is_held_between_messages() {
        let mut decoder = server(1_000);
        let mut bytes = Vec::new();
        extend(&mut bytes, Opcode::Text, Some([1; 4]), &[b'a'; 500]);
        for byte in bytes {
            decoder.decode(&mut [byte]).unwrap();
        }
        assert_eq!(
            (decoder.message.capacity(), decoder.control.capacity()),
            (0, 0)
        );
    }
}
