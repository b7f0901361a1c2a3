//! `giterctl hook`: what a repository that devices and publishers push to lets in.
//!
//! Signatures say who speaks, by the charter and the Device resources at the branch's present tip; the SSH key in force,
//! where sshd tells it, narrows that down. Every ref of a push is judged by its kind, one file for each: the branch of the
//! specs, statuses, requests, everything else. One refusal refuses the push.

mod branch;
mod enrolment;
mod fleet;
mod going_back;
mod hub;
mod install;
mod login;
mod push;
mod report;
mod review;
pub(crate) mod status;

use std::path::Path;

use giter_edge::api::{Exit, Result};

pub(crate) use self::{
    fleet::{Fleet, named, shared},
    hub::{relays, roots, statuses},
    install::{Options, install},
};

/// Guards the repository that devices and publishers push to
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    Install(install::Args),
    PreReceive(push::Args),
}

/// Installs the hook, or is it.
pub(crate) fn run(args: Args, repo: &Path) -> Result<Exit> {
    match args.verb {
        Verb::Install(args) => install::run(args, repo),
        Verb::PreReceive(args) => push::run(args, repo),
    }
}
