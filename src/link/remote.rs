//! The hub as git's programs over byte streams, whatever carries them: one program to list and fetch from, another for
//! each push, a third that tells of changes.
//!
//! ```text
//! list -> [fetch] -> [publish] -> rest -> list -> ... one git-upload-pack, as long as its answers can be believed
//!                                  `-> listen -> heard       what is said between two listings (watch)
//! ```
//!
//! A conversation that rests is believed again for `HEAD` alone (see [`fetch`]), so it is held only where `HEAD` leads to
//! the branch. Where the status ref is, it does not tell a second time: that is what it was at first, or what was published
//! since. It ends with every doubt, after [`Manner::hold`] at the latest, and then everything is asked anew.
//!
//! It does not know how a connection comes about ([`Connector`]), nor what the commits mean.

use std::{
    collections::HashMap,
    io::Read,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use super::{
    gather::gather,
    stream::{Connector, Deadline, Service, Stream, Version2},
    watch::Watch,
};
use crate::{
    api::{Error, Oid, Reason, Result, ledger::HubTraits, limits},
    git::{
        fetch::{self, UploadPack},
        push,
    },
    reconcile::ports::{Heard, Link, Listing, NewObject, Quarantine, Upstream, Want},
};

/// How a hub is spoken with.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// How long it may be silent.
    pub silence: Duration,
    /// How long all of an exchange of words may take, be it never silent.
    pub exchange: Duration,
    /// How long a conversation is held and believed; zero for no longer than a tick.
    pub hold: Duration,
    /// Whether the hub is asked to tell of changes.
    pub watch: bool,
}

/// A hub that runs git.
pub struct Remote<C: Connector> {
    connector: C,
    branch: String,
    branch_ref: String,
    status_ref: String,
    manner: Manner,
    traits: HubTraits,
    /// The greatest depth of a filter that the hub is not known to refuse; `None` where it takes none.
    filters: Option<usize>,
    conversation: Option<Conversation<C::Stream>>,
    watch: Watch<C::Stream>,
    /// Where the branch was listed last, unless that failed.
    listed: Option<Oid>,
    /// Whether what is asked for is for others: the device itself has not begun with the hub, or has done with it.
    is_for_others: bool,
    /// When all that is asked for others has to be over.
    visit: Option<Deadline>,
    /// The objects of the status that was published last, its commit at the end, unless it is large: the hub has them.
    published: Vec<NewObject>,
    /// Where it stood at the listing before, unless that failed.
    stood: Option<Oid>,
}

/// What became of asking a hub for objects.
enum Answer {
    Given,
    /// It has to be asked again: what it takes for a filter was learned, and the conversation is over.
    FilterRefused,
}

/// What goes on with one `git-upload-pack`.
struct Conversation<S> {
    hub: UploadPack<S>,
    began: Instant,
    /// Whether `HEAD` leads to the branch.
    follows_head: bool,
    /// Where the branch was listed last, and the status ref listed first or published since.
    listing: Listing,
    /// Where other refs were when they were first asked for, or what was pushed there since.
    others: HashMap<String, Option<Oid>>,
    /// Whether objects were fetched: the program keeps in mind for ever where a history was said to end.
    has_fetched: bool,
    /// Whether objects were fetched for others: then it ends where the device does not stand, and may go beyond that.
    has_fetched_for_others: bool,
    is_resting: bool,
}

impl<C: Connector> Remote<C> {
    /// The hub behind `connector`: the branch by its short name, the device's status ref by its full one, and what
    /// was learned of the hub before.
    pub fn over(connector: C, branch: &str, status_ref: &str, manner: Manner, traits: HubTraits) -> Self {
        Self {
            connector,
            branch: branch.to_owned(),
            branch_ref: format!("refs/heads/{branch}"),
            status_ref: status_ref.to_owned(),
            manner,
            traits,
            filters: Some(usize::MAX),
            conversation: None,
            watch: Watch::default(),
            listed: None,
            is_for_others: true,
            visit: None,
            published: Vec::new(),
            stood: None,
        }
    }

    /// Goes on with what rested, or begins anew: also where it was listened to alone, and has no room for what may follow.
    fn list_now(&mut self) -> Result<Listing> {
        if !self.connector.has_room() {
            self.close();
        }
        if let Some(held) = self.conversation.take_if(|conversation| conversation.is_resting) {
            if let Some(listing) = self.list_again(held)? {
                return Ok(listing);
            }
            self.close();
        }
        self.end_conversation();
        self.list_anew()
    }

    /// Goes on with a conversation that rested; `None` if it cannot be believed any more.
    fn list_again(&mut self, mut held: Conversation<C::Stream>) -> Result<Option<Listing>> {
        if held.began.elapsed() >= self.manner.hold {
            return Ok(None);
        }
        held.hub.stream_mut().begin(self.manner.silence.min(limits::HELD_SILENCE), None);
        let head = match held.hub.list([]) {
            Ok(([], head)) => head.filter(|head| head.target == self.branch_ref),
            Err(error) if error.reason() == Reason::Stopped => return Err(error),
            Err(error) => {
                log::debug!("the connection that was held is of no use: {}", error.one_line());
                None
            }
        };
        let Some(fetch::Head { value: branch, .. }) = head else { return Ok(None) };
        held.hub.stream_mut().begin(self.manner.silence, None);
        let listing = Listing { branch, ..held.listing };
        self.conversation = Some(Conversation { listing, is_resting: false, ..held });
        Ok(Some(listing))
    }

    fn list_anew(&mut self) -> Result<Listing> {
        let in_command = self.traits.protocol_in_command;
        let first = self.list_with(version(in_command));
        let failed = match &first {
            Err(error) if is_about_version(error.reason(), in_command) => error.reason(),
            _ => return first,
        };
        let second = self.list_with(version(!in_command));
        match second.as_ref().map_err(Error::reason) {
            Ok(_) | Err(Reason::RepositoryEmpty | Reason::BranchNotFound) => {
                self.traits.protocol_in_command = !in_command;
                second
            }
            Err(Reason::ProtocolError) if failed == Reason::ProtocolV2Required => first,
            Err(_) => second,
        }
    }

    fn list_with(&mut self, version: Version2) -> Result<Listing> {
        let began = Instant::now();
        let mut hub = UploadPack::new(self.connect(Service::UploadPack, version)?, self.filters);
        match self.look(&mut hub) {
            Ok((listing, follows_head)) => {
                self.conversation = Some(Conversation {
                    hub,
                    began,
                    follows_head,
                    listing,
                    others: HashMap::new(),
                    has_fetched: false,
                    has_fetched_for_others: false,
                    is_resting: false,
                });
                Ok(listing)
            }
            Err(error) => Err(hub.into_stream().explain(error)),
        }
    }

    /// What there is to list, and whether `HEAD` leads to the branch. It does nearly everywhere, so the branch is asked for
    /// by its own name only where it does not.
    fn look(&self, hub: &mut UploadPack<C::Stream>) -> Result<(Listing, bool)> {
        let ([status], head) = hub.list([&self.status_ref])?;
        if let Some(head) = head.filter(|head| head.target == self.branch_ref) {
            return Ok((Listing { branch: head.value, status }, true));
        }
        match hub.list([&self.branch_ref])?.0 {
            [Some(branch)] => Ok((Listing { branch, status }, false)),
            [None] if hub.is_empty()? => Err(Error::new(Reason::RepositoryEmpty, "the repository has no commits")
                .hint(format!("push a first commit to `{}`", self.branch))),
            [None] => {
                Err(Error::new(Reason::BranchNotFound, format!("the repository has no branch `{}`", self.branch))
                    .hint("set `link.branch`, or push that branch"))
            }
        }
    }

    /// Lets the hub be asked for objects, with where the branch was listed. What it refuses but a filter ends the
    /// conversation.
    fn ask_for_objects(&mut self, ask: impl FnOnce(&mut UploadPack<C::Stream>, Oid) -> Result<()>) -> Result<Answer> {
        if let Some(conversation) = &mut self.conversation {
            conversation.has_fetched = true;
            conversation.has_fetched_for_others |= self.is_for_others;
        }
        self.ask(ask)
    }

    /// Lets the hub be asked for anything.
    fn ask(&mut self, ask: impl FnOnce(&mut UploadPack<C::Stream>, Oid) -> Result<()>) -> Result<Answer> {
        let mut conversation = self
            .conversation
            .take()
            .ok_or_else(|| Error::new(Reason::Bug, "a fetch from a hub that was not listed"))?;
        let filters = conversation.hub.filters();
        match ask(&mut conversation.hub, conversation.listing.branch) {
            Ok(()) => {
                self.conversation = Some(conversation);
                Ok(Answer::Given)
            }
            Err(error) if conversation.hub.filters() < filters => {
                log::debug!("asks with another filter, or none: {}", error.one_line());
                self.filters = conversation.hub.filters();
                self.conversation = Some(conversation);
                self.end_conversation();
                Ok(Answer::FilterRefused)
            }
            Err(error) => Err(conversation.hub.into_stream().explain(error)),
        }
    }

    /// Whether the hub, which ended the conversation when it was asked for a pack, knows of a way from the base to the tip.
    fn leads(&mut self, base: Oid, tip: Oid) -> Result<bool> {
        self.converse()?;
        let mut leads = false;
        self.ask(|hub, _| hub.leads(base, tip).map(|told| leads = told))?;
        if leads {
            self.end_conversation();
        }
        Ok(leads)
    }

    /// Has a conversation to ask in: goes on with what rests, or begins anew.
    fn converse(&mut self) -> Result<&mut Conversation<C::Stream>> {
        self.is_in_time()?;
        if self.conversation.is_none() {
            self.list_anew()?;
        }
        let none = || Error::new(Reason::Bug, "a hub was listed, and is not spoken with");
        let conversation = self.conversation.as_mut().ok_or_else(none)?;
        if std::mem::take(&mut conversation.is_resting) {
            conversation.hub.stream_mut().begin(self.manner.silence, self.visit);
        }
        Ok(conversation)
    }

    /// Connects to a program, which ends with the visit.
    fn connect(&mut self, service: Service, version: Version2) -> Result<C::Stream> {
        self.is_in_time()?;
        let mut stream = self.connector.connect(service, version)?;
        stream.begin(self.manner.silence, self.visit);
        Ok(stream)
    }

    fn is_in_time(&self) -> Result<()> {
        self.visit.map_or(Ok(()), |visit| visit.check())
    }

    /// Moves a ref. What goes wrong puts an end to what is known of refs, and so to the conversation.
    fn send(&mut self, update: &push::Update<'_>, objects: &[NewObject], bases: &[NewObject]) -> Result<()> {
        let mut stream = self.connect(Service::ReceivePack, Version2::Unsaid)?;
        match push::send(&mut stream, update, objects, bases) {
            Ok(()) => {
                stream.close();
                Ok(())
            }
            Err(error) => {
                let error = stream.explain(error);
                self.end_conversation();
                Err(error)
            }
        }
    }

    fn end_conversation(&mut self) {
        self.watch.end();
        if let Some(Conversation { hub, .. }) = self.conversation.take() {
            hub.into_stream().close();
        }
    }
}

impl<C: Connector> Link for Remote<C> {
    fn list(&mut self) -> Result<Listing> {
        self.visit = None;
        // After a time without a hub much may be new.
        let stood = self.listed.take();
        let listing = self.list_now()?;
        self.is_for_others = false;
        self.listed = Some(listing.branch);
        self.stood = stood;
        Ok(listing)
    }

    fn fetch(&mut self, want: Want<'_>, into: &mut dyn Quarantine) -> Result<()> {
        if self.is_for_others {
            self.converse()?;
        }
        let stood = self.stood;
        match self.ask_for_objects(|hub, _| gather(hub, want, stood, into))? {
            Answer::Given => Ok(()),
            Answer::FilterRefused => {
                self.list_anew()?;
                self.fetch(want, into)
            }
        }
    }

    fn sends_all(&mut self) -> Result<bool> {
        let filters = self.conversation.as_ref().and_then(|conversation| conversation.hub.filters());
        if filters.is_none() {
            return Ok(true);
        }
        self.ask_for_objects(|hub, branch| hub.try_filter(branch))?;
        Ok(self.filters.is_none())
    }

    fn publish(&mut self, old: Option<Oid>, new: Oid, objects: &[NewObject]) -> Result<()> {
        let bases = std::mem::take(&mut self.published);
        let bases = if bases.last().map(|last| last.id) == old { &*bases } else { &[] };
        self.send(&push::Update { name: &self.status_ref.clone(), old, new }, objects, bases)?;
        let bytes: usize = objects.iter().map(|new| new.object.data.len()).sum();
        self.published = if bytes <= limits::DELTA_STATUS_BYTES { objects.to_vec() } else { Vec::new() };
        if let Some(conversation) = &mut self.conversation {
            conversation.listing.status = Some(new);
        }
        Ok(())
    }

    fn rest(&mut self) {
        (self.is_for_others, self.visit) = (true, None);
        let is_held = !self.manner.hold.is_zero();
        let can_go_on = |held: &Conversation<_>| held.follows_head && !held.has_fetched_for_others;
        match &mut self.conversation {
            Some(conversation) if is_held && can_go_on(conversation) => conversation.is_resting = true,
            _ if is_held && self.connector.has_room() => self.end_conversation(),
            _ => self.close(),
        }
    }

    fn close(&mut self) {
        (self.is_for_others, self.visit) = (true, None);
        self.end_conversation();
        self.connector.hang_up();
    }

    /// The hub is asked once on each connection that rests to tell of changes. One that does not is listened to all the
    /// same: who answers nothing is taken for gone.
    fn listen(&mut self) -> Option<OwnedFd> {
        let resting = self.conversation.as_mut().filter(|conversation| conversation.is_resting)?;
        if self.manner.watch && self.connector.has_room() {
            self.watch.begin(|| self.connector.connect(Service::Watch, Version2::Unsaid));
        }
        let descriptor = self.watch.descriptor().unwrap_or_else(|| resting.hub.stream_mut().descriptor());
        descriptor.map_err(|error| log::warn!("cannot listen to the hub: {error}")).ok()
    }

    fn heard(&mut self) -> Heard {
        let Some(resting) = self.conversation.as_mut().filter(|conversation| conversation.is_resting) else {
            return Heard::Nothing;
        };
        let heard = match self.watch.heard(resting.listing.branch, Instant::now()) {
            Some(heard) => heard,
            // Nothing is to come that was not asked for, and an end is one.
            None => match resting.hub.stream_mut().try_read(&mut [0]) {
                Ok(None) => Heard::Nothing,
                Ok(Some(_)) | Err(_) => Heard::Loss,
            },
        };
        if heard == Heard::Loss {
            self.close();
        }
        heard
    }

    fn traits(&self) -> HubTraits {
        self.traits
    }

    fn upstream(&mut self) -> Option<&mut dyn Upstream> {
        Some(self)
    }
}

impl<C: Connector> Upstream for Remote<C> {
    fn branch(&self) -> Option<Oid> {
        self.listed
    }

    fn within(&mut self, time: Duration) {
        self.visit = Some(Deadline::of_visit(time));
    }

    fn refs(&mut self, names: &[String]) -> Result<Vec<Option<Oid>>> {
        let others = &self.converse()?.others;
        let unheard: Vec<&str> = names.iter().map(|name| &**name).filter(|name| !others.contains_key(*name)).collect();
        if !unheard.is_empty() {
            let mut values = Vec::new();
            self.ask(|hub, _| hub.refs(&unheard).map(|told| values = told))?;
            let told = unheard.iter().map(|name| (*name).to_owned()).zip(values);
            self.converse()?.others.extend(told);
        }
        let others = &self.converse()?.others;
        Ok(names.iter().map(|name| others.get(name).copied().flatten()).collect())
    }

    fn pack(&mut self, base: Oid, tip: Oid, take: &mut dyn FnMut(&mut dyn Read) -> Result<()>) -> Result<bool> {
        if self.conversation.as_ref().is_some_and(|conversation| conversation.has_fetched) {
            self.end_conversation();
        }
        self.converse()?;
        let (mut is_given, mut is_taking, mut is_over) = (false, false, false);
        let mut take = |pack: &mut dyn Read| {
            is_taking = true;
            take(pack)
        };
        let asked = self.ask_for_objects(|hub, _| {
            let given = hub.pack_since(base, tip, &mut take);
            is_over = given.as_ref().is_err_and(|error| error.reason() == Reason::HubUnreachable);
            given.map(|given| is_given = given)
        });
        match asked {
            Err(_) if is_over && !is_taking && !self.leads(base, tip)? => Ok(false),
            asked => asked.map(|_| is_given),
        }
    }

    fn push(&mut self, name: &str, old: Option<Oid>, new: Oid, objects: &[NewObject]) -> Result<()> {
        self.send(&push::Update { name, old, new }, objects, &[])?;
        if let Some(conversation) = &mut self.conversation {
            conversation.others.insert(name.to_owned(), Some(new));
        }
        Ok(())
    }
}

fn version(in_command: bool) -> Version2 {
    if in_command { Version2::InCommand } else { Version2::InEnvironment }
}

/// Whether a listing failed over how version 2 was asked for: a server that drops the environment answers in an old
/// version, an account without a shell does not know the command.
fn is_about_version(reason: Reason, in_command: bool) -> bool {
    reason == Reason::ProtocolV2Required || (in_command && reason == Reason::ProtocolError)
}
