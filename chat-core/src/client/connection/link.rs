//! A connection's bytes: how messages are kept apart and written.

use crate::wire::{
    ClientMessage, DecodeError, Decoder, Form, Frame, Framing, SERVER_FRAME_BYTES, ServerMessage,
};

/// The framing and the form of one connection, with the frame that is half received.
#[derive(Debug)]
pub(super) struct Link {
    framing: Framing,
    form: Form,
    decoder: Decoder,
}

impl Link {
    pub(super) fn new(framing: Framing, form: Form) -> Self {
        Self {
            framing,
            form,
            decoder: Decoder::of(framing, SERVER_FRAME_BYTES),
        }
    }

    pub(super) fn encode(&self, message: &ClientMessage) -> Frame {
        self.form.encode(message)
    }

    /// The next message of the bytes at hand, which are used up as far as needed. Messages of a
    /// later version are passed over: what depends on them is kept for programs that read them.
    ///
    /// # Errors
    /// The bytes are none of the protocol's.
    pub(super) fn next(
        &mut self,
        bytes: &mut Option<&[u8]>,
    ) -> Result<Option<ServerMessage>, String> {
        while let Some(at_hand) = bytes {
            let decoded = match self.framing {
                Framing::Message => {
                    let (len, allowed) = (at_hand.len(), SERVER_FRAME_BYTES);
                    if len > allowed as usize {
                        return Err(format!(
                            "a message of {len} bytes where {allowed} are allowed"
                        ));
                    }
                    let body = *at_hand;
                    *bytes = None;
                    self.form.decode(body)
                }
                Framing::Stream | Framing::Lines => match self.decoder.next(at_hand) {
                    Ok(Some(body)) => self.form.decode(&body),
                    Ok(None) => {
                        *bytes = None;
                        break;
                    }
                    Err(error) => return Err(error.to_string()),
                },
            };
            match decoded {
                Ok(message) => return Ok(Some(message)),
                Err(DecodeError::UnknownKind(_)) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(None)
    }
}
