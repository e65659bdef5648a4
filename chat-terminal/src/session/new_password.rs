//! A new password, typed twice, or none.

use chat_core::password::Password;
use zeroize::Zeroizing;

use super::requests::Request;

/// A password that is being typed.
#[derive(Debug)]
pub(super) struct NewPassword {
    question: &'static str,
    state: State,
}

enum State {
    First,
    Again(Zeroizing<String>),
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::First => "First",
            Self::Again(_) => "Again",
        })
    }
}

impl NewPassword {
    /// Begins with this question.
    pub(super) fn begin(question: &'static str, out: &mut Vec<Request>) -> Self {
        out.push(Request::AskHidden(question.to_owned()));
        let state = State::First;
        Self { question, state }
    }

    /// Goes on. Some: the end, which is no password if nothing was typed or Ctrl-C was.
    pub(super) fn answer(
        &mut self,
        answer: Option<String>,
        out: &mut Vec<Request>,
    ) -> Option<Option<Password>> {
        let Some(typed) = answer.map(Zeroizing::new) else {
            return Some(None);
        };
        match &self.state {
            State::First if typed.is_empty() => return Some(None),
            State::First => {
                self.state = State::Again(typed);
                out.push(Request::AskHidden("the same again: ".to_owned()));
            }
            State::Again(first) if *first == typed => {
                return Some(Some(Password::new(typed.as_str())));
            }
            State::Again(_) => {
                let words = "these were two different passwords";
                out.push(Request::Notice(words.to_owned()));
                out.push(Request::AskHidden(self.question.to_owned()));
                self.state = State::First;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_have_to_be_the_same() {
        let mut out = Vec::new();
        let mut new = NewPassword::begin("password: ", &mut out);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(new.answer(some("sesame"), &mut out), None);
        assert_eq!(new.answer(some("sesam"), &mut out), None);
        assert_eq!(new.answer(some("sesame"), &mut out), None);
        let end = new.answer(some("sesame"), &mut out);
        assert_eq!(end, Some(Some(Password::new("sesame"))));
        let asked = out.iter().filter(|r| matches!(r, Request::AskHidden(_)));
        assert_eq!((out.len(), asked.count()), (5, 4));
    }

    #[test]
    fn nothing_is_no_password() {
        for nothing in [None, Some(String::new())] {
            let mut new = NewPassword::begin("", &mut Vec::new());
            assert_eq!(new.answer(nothing, &mut Vec::new()), Some(None));
        }
        let mut new = NewPassword::begin("", &mut Vec::new());
        new.answer(Some("x".into()), &mut Vec::new());
        assert_eq!(new.answer(None, &mut Vec::new()), Some(None));
    }
}
