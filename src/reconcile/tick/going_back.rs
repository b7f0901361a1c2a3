//! A tip that does not go forward is followed all the same where a root's reset at it says so: steps 10 and 11 of
//! [`verify`](crate::reconcile::verify).

use super::{Agent, Ports, sync::prove_with};
use crate::{
    api::{Class, Error, Oid, Reason, Result, ledger::Accepted},
    reconcile::{
        chain::Own,
        ports::{Quarantine, Store},
        verify::Permit,
    },
};

/// Whether a reset may allow what was refused: the tip does not go forward, or it cannot be told.
pub(super) fn may_be_allowed(refusal: &Error) -> bool {
    use Reason::{NotFastForward, PackTooLarge, RangeTooLong, Rewound};
    matches!(refusal.reason(), NotFastForward | PackTooLarge | RangeTooLong | Rewound)
}

impl Agent {
    /// Accepts the tip if a reset at it allows that. What the hub would send from the floor is of no use here, so the
    /// tip is fetched alone, then the commit that the reset names, then what lies between.
    ///
    /// # Errors
    ///
    /// The refusal, with why no reset allows it; what fetching and judging fail with.
    pub(super) fn go_back(
        &mut self,
        ports: &mut Ports<'_>,
        tip: Oid,
        own: Option<&Own>,
        refusal: Error,
    ) -> Result<Accepted> {
        // A fetch that failed has ended the conversation.
        ports.link.list()?;
        let mut quarantine = self.quarantine_at_floor(ports.store)?;
        ports.link.fetch(self.want(tip, None), &mut *quarantine)?;
        let permit = match Permit::at(tip, &self.trust(), &*quarantine) {
            Ok(Some(permit)) => permit,
            Ok(None) => return Err(refusal),
            Err(why) => return Err(not_allowed(refusal, why)),
        };
        let commit = permit.reset.commit;
        match ports.link.fetch(self.want(commit, None), &mut *quarantine) {
            Err(why) if why.reason() == Reason::CommitNotFound => return Err(not_allowed(refusal, why)),
            fetched => fetched?,
        }
        ports.link.fetch(self.want(tip, Some(commit)), &mut *quarantine)?;
        let proven = prove_with(ports.link, &mut *quarantine, |objects| permit.prove(tip, &self.trust(), objects));
        let verified = match proven {
            Err(why) if matches!(why.reason(), Reason::NotFastForward | Reason::Rewound) => {
                return Err(not_allowed(refusal, why));
            }
            verified => verified?,
        };
        let judged = self.judge(verified, &*quarantine, &ports.seal.key(), ports.board)?;
        let generation = quarantine.promote(tip, &self.settings.device)?;
        let accepted = self.accept(ports, judged, generation, own)?;
        let Permit { reset, signer } = permit;
        let news = format!(
            "went back to {}, as the reset {} with serial {} allows, signed by {signer}",
            commit.short(),
            reset.name,
            reset.serial
        );
        log::warn!("{news}");
        self.went_back = Some(news);
        Ok(accepted)
    }

    /// A quarantine over the objects of the floor, of which the charter is needed, as far as they are there.
    fn quarantine_at_floor<'a>(&self, store: &'a mut dyn Store) -> Result<Box<dyn Quarantine + 'a>> {
        match self.damaged {
            true => store.quarantine(&Default::default()),
            false => store.quarantine(&self.record.generation),
        }
    }
}

/// The refusal, with why the reset does not change it; or why that cannot be told yet.
fn not_allowed(refusal: Error, why: Error) -> Error {
    if why.reason().class() == Class::Retry && why.reason() != Reason::CommitNotFound {
        return why;
    }
    let again = Error::new(refusal.reason(), format!("{}, and reset.yaml does not allow it", refusal.one_line()));
    match refusal.get_hint() {
        Some(hint) => again.hint(hint),
        None => again,
    }
    .caused_by(why)
}
