//! Names: hellos, new names, and names that are freed.

use core::time::Duration;

use super::{
    Effect, Registry, Task, Turn, Waiting,
    log::{Proposal, Then, What},
    words::Word,
};
use crate::{
    hub::{Audience, Config, effects::Hello, origin::Asked, views::LocalView},
    nick::{Name, label},
    state::directory::{invites::Door, judge::Ask},
    wire::{ErrorCode, Refusal, VERSION, client::Nick, server::Welcome},
};

/// When somebody for whom there is no place may ask again.
const CROWDED: Duration = Duration::from_secs(5);

/// Members whose names one entry frees.
const FREED: usize = 16_384;

/// The nick and label that are asked for, if they may be had. `imposed`: by the application, which
/// may give members reserved ones.
fn free_names(
    config: &Config,
    nick: &str,
    wanted: &str,
    imposed: Option<(&str, Option<&str>)>,
) -> Result<Name, Refusal> {
    let name = Name::nick(nick, config.limits.nick_bytes.into())
        .map_err(|e| ErrorCode::NickInvalid.because(e.to_string()))?;
    if imposed.is_none() && config.reserved.has(&name) {
        return Err(ErrorCode::NickInvalid.because("that name is reserved"));
    }
    label(wanted, config.limits.label_bytes.into())
        .map_err(|e| ErrorCode::LabelInvalid.because(format!("label: {e}")))?;
    let label_imposed = imposed.is_some_and(|(_, label)| label.is_some());
    if !label_imposed && config.reserved.has_label(wanted) {
        return Err(ErrorCode::LabelInvalid.because("that label is reserved"));
    }
    Ok(name)
}

impl Registry {
    /// A hello is to be judged, when it is known who exists.
    pub(in crate::hub) fn hello(
        &mut self,
        turn: &mut Turn<'_>,
        with: &dyn LocalView,
        hello: Box<Hello>,
    ) {
        self.in_turn(turn, with, Task::Hello(hello));
    }

    pub(super) fn judge_hello(
        &mut self,
        turn: &mut Turn<'_>,
        with: &dyn LocalView,
        hello: Box<Hello>,
        since: crate::hub::partition::Look,
    ) {
        let (config, conn) = (turn.config, hello.conn);
        if !with.awaits_welcome(conn) {
            return;
        }
        let (name, label) = match self.wanted_name(config, with, &hello) {
            Ok(wanted) => wanted,
            Err(refusal) => return turn.effect(Effect::RefuseHello { conn, refusal }),
        };
        let door = Door {
            closed: config.invite_only && !hello.imposed,
            shown: hello.invite,
        };
        if let Err(refusal) = self.looks_in(turn, &hello, door) {
            if !self.pipe.is_settled(since) {
                let task = Task::Hello(hello);
                return self.look_first(turn, with, Waiting { task, since });
            }
            return turn.effect(Effect::RefuseHello { conn, refusal });
        }
        // A member that the application knows is not made up by a stranger.
        if !hello.imposed
            && !self.state().knows(hello.member)
            && let Err(refusal) = may_come(turn, &hello)
        {
            if !self.pipe.is_certain(since) {
                let task = Task::Hello(hello);
                return self.look_first(turn, with, Waiting { task, since });
            }
            return turn.effect(Effect::RefuseHello { conn, refusal });
        }
        let ask = Ask::Name {
            member: hello.member,
            name,
            label,
            keep: hello.kept,
            anew: self
                .whereabouts
                .may_be_freed(hello.member, turn.now.monotonic),
            door,
        };
        let again = false;
        let proposal = Proposal {
            what: What::Ask(ask),
            then: Then::Welcome { hello, again },
        };
        self.pipe.propose_since(proposal, since);
        self.advance(turn, with);
    }

    /// The name and label with which a member comes in. Another device that is in has chosen them
    /// last: what this one was called when it began is old by now.
    fn wanted_name(
        &self,
        config: &Config,
        with: &dyn LocalView,
        hello: &Hello,
    ) -> Result<(Name, String), Refusal> {
        let (nick, label) = match self.state().names.called(hello.member) {
            Some(called)
                if !hello.imposed
                    && called.is_held
                    && self.whereabouts.is_connected(hello.member) =>
            {
                called.name.parts()
            }
            _ => (&*hello.nick, &*hello.label),
        };
        let name = free_names(config, nick, label, with.imposed(hello.conn))?;
        Ok((name, label.to_owned()))
    }

    /// Whether a member finds the door open, as far as it is known by now: whoever does not is no
    /// newcomer that counts.
    fn looks_in(&self, turn: &Turn<'_>, hello: &Hello, door: Door) -> Result<(), Refusal> {
        if !door.closed || self.state().knows(hello.member) {
            return Ok(());
        }
        let invites = &self.state().invites;
        invites.admit(door.shown, 0, turn.now.wall).map(|_| ())
    }

    /// The name is the member's: lets it in.
    pub(super) fn let_in(&mut self, turn: &mut Turn<'_>, hello: Box<Hello>, again: bool) {
        let member = hello.member;
        let config = turn.config;
        let mut rooms = self.rooms_of(member);
        rooms.sort_unstable();
        let (nick, label) = match self.state().names.called(member) {
            Some(called) => called.name.parts(),
            None => ("", ""),
        };
        let welcome = Box::new(Welcome {
            version: VERSION,
            capabilities: Vec::new(),
            agent: config.agent.clone(),
            member,
            nick: nick.to_owned(),
            label: label.to_owned(),
            limits: config.limits.wire(),
            ping_interval: u32::try_from(config.limits.ping.as_millis()).unwrap_or(u32::MAX),
            durability: config.durability,
            time: turn.now.wall,
            lobby: config.lobby.is_some(),
            rooms,
            proof: None,
            any_audience: config.audience == Audience::Any,
        });
        turn.effect(Effect::Welcome {
            hello,
            welcome,
            again,
        });
        if let Some(room) = self.state().invites.owed(member) {
            turn.effect(Effect::Bring { room, member });
        }
    }

    /// A member asks to be called something else.
    pub(super) fn rename(
        &mut self,
        turn: &mut Turn<'_>,
        with: &dyn LocalView,
        asked: Asked,
        nick: Nick,
        since: crate::hub::partition::Look,
    ) {
        let (origin, member) = (asked.origin, asked.member);
        let refuse = |turn: &mut Turn<'_>, refusal| {
            turn.effect(Effect::Refuse { origin, refusal });
        };
        let config = turn.config;
        let imposed = with.imposed(origin.conn);
        let name = free_names(config, &nick.nick, &nick.label, imposed);
        let name = match asked.checked.and(name) {
            Ok(name) => name,
            Err(refusal) => return refuse(turn, refusal),
        };
        if let Some((own, label)) = imposed {
            let own = Name::nick(own, config.limits.nick_bytes.into());
            let is_own = own.is_ok_and(|own| own.shown == name.shown);
            if !is_own || label.is_some_and(|label| label != nick.label) {
                let text = "what you are called is decided elsewhere";
                return refuse(turn, ErrorCode::Forbidden.because(text));
            }
        }
        let names = &self.state().names;
        if !names.is_held(member) && !self.pipe.is_certain(since) {
            let (request, checked) = (asked.request, Ok(()));
            let task = Task::Request(Box::new(Asked {
                request,
                checked,
                ..asked
            }));
            return self.look_first(turn, with, Waiting { task, since });
        }
        if !names.is_held(member) {
            return refuse(turn, ErrorCode::UnknownMember.because("you hold no nick"));
        }
        let keep = names.keeps(member);
        let ask = Ask::Name {
            member,
            name,
            label: nick.label,
            keep,
            anew: false,
            door: Door::OPEN,
        };
        let before = None;
        let then = Then::Named {
            origin,
            member,
            before,
        };
        let what = What::Ask(ask);
        self.pipe.propose_since(Proposal { what, then }, since);
        self.advance(turn, with);
    }

    /// Frees names, all of this call in as few entries as can be, and tells of those whose time to
    /// object begins.
    pub(in crate::hub) fn free_names(&mut self, turn: &mut Turn<'_>, with: &dyn LocalView) {
        let mut members = std::mem::take(&mut self.freeing);
        self.tell(turn, Word::Leaving, &members);
        members.retain(|member| self.whereabouts.leaves(*member));
        for members in members.chunks(FREED) {
            let members = members.to_vec();
            let what = What::Ask(Ask::Free(members));
            let then = Then::Nothing;
            self.pipe.propose(Proposal { what, then });
        }
        self.advance(turn, with);
    }
}

/// Whether somebody who was never here before may come in now.
fn may_come(turn: &Turn<'_>, hello: &Hello) -> Result<(), Refusal> {
    let (counts, limits) = (&turn.config.address_limits, &turn.config.limits);
    if !counts.places.has_one_for_newcomer(limits) {
        let text = "the last places are kept for members known from before";
        return Err(ErrorCode::RateLimited.because(text).after(CROWDED));
    }
    let now = turn.now.monotonic;
    counts.newcomer(limits, hello.address, now).map_err(|wait| {
        let text = "too many who were never here before come from your address";
        ErrorCode::RateLimited.because(text).after(wait)
    })
}
