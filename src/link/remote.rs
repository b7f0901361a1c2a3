//! The link to a hub that runs git: lists and fetches over one stream, pushes over another.
//!
//! It does not know how a connection comes about ([`Connector`]), nor what the commits mean.

use super::{
    gather::gather,
    stream::{Connector, Service, Stream, Version2},
};
use crate::{
    api::{Error, Oid, Reason, Result, ledger::HubTraits},
    git::{fetch::UploadPack, pack, push},
    reconcile::ports::{Link, Listing, NewObject, Quarantine, Want},
};

/// A hub that runs git.
pub struct Remote<C: Connector> {
    connector: C,
    branch: String,
    branch_ref: String,
    status_ref: String,
    traits: HubTraits,
    conversation: Option<UploadPack<C::Stream>>,
    /// Where the branch stands, and where it stood at the listing before.
    stands: Option<Oid>,
    stood: Option<Oid>,
}

impl<C: Connector> Remote<C> {
    /// The hub behind `connector`: the branch by its short name, the device's status ref by its full one, and what
    /// was learned of the hub before.
    pub fn over(connector: C, branch: &str, status_ref: &str, traits: HubTraits) -> Self {
        Self {
            connector,
            branch: branch.to_owned(),
            branch_ref: format!("refs/heads/{branch}"),
            status_ref: status_ref.to_owned(),
            traits,
            conversation: None,
            stands: None,
            stood: None,
        }
    }

    fn end_conversation(&mut self) {
        if let Some(hub) = self.conversation.take() {
            hub.into_stream().close();
        }
    }

    fn list_with(&mut self, version: Version2) -> Result<Listing> {
        let mut hub = UploadPack::new(self.connector.connect(Service::UploadPack, version)?);
        let listing = hub.list([&self.branch_ref, &self.status_ref]).and_then(|[branch, status]| match branch {
            Some(branch) => Ok(Listing { branch, status }),
            None if hub.is_empty()? => Err(Error::new(Reason::RepositoryEmpty, "the repository has no commits")
                .hint(format!("push a first commit to `{}`", self.branch))),
            None => Err(Error::new(Reason::BranchNotFound, format!("the repository has no branch `{}`", self.branch))
                .hint("set `link.branch`, or push that branch")),
        });
        match listing {
            Ok(listing) => {
                self.conversation = Some(hub);
                self.stood = self.stands.replace(listing.branch);
                Ok(listing)
            }
            Err(error) => Err(hub.into_stream().explain(error)),
        }
    }
}

impl<C: Connector> Link for Remote<C> {
    fn list(&mut self) -> Result<Listing> {
        self.end_conversation();
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

    fn fetch(&mut self, want: Want<'_>, into: &mut dyn Quarantine) -> Result<()> {
        let mut hub = self
            .conversation
            .take()
            .ok_or_else(|| Error::new(Reason::Bug, "a fetch from a hub that was not listed"))?;
        match gather(&mut hub, want, self.stood, into) {
            Ok(()) => {
                self.conversation = Some(hub);
                Ok(())
            }
            Err(error) => Err(hub.into_stream().explain(error)),
        }
    }

    fn sends_all(&self) -> bool {
        self.conversation.as_ref().is_some_and(|hub| !hub.can_filter())
    }

    /// Ends what [`Link::list`] began: one stream at a time.
    fn publish(&mut self, old: Option<Oid>, new: Oid, objects: &[NewObject]) -> Result<()> {
        let pack = pack::write(objects)?;
        self.end_conversation();
        let mut stream = self.connector.connect(Service::ReceivePack, Version2::Unsaid)?;
        match push::send(&mut stream, &push::Update { name: &self.status_ref, old, new }, &pack) {
            Ok(()) => {
                stream.close();
                Ok(())
            }
            Err(error) => Err(stream.explain(error)),
        }
    }

    fn close(&mut self) {
        self.end_conversation();
        self.connector.hang_up();
    }

    fn traits(&self) -> HubTraits {
        self.traits
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
