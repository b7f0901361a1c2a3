//! demo
#[derive(clap::Args)]
pub(crate) struct Args {}
pub(crate) fn run(_: Args) -> giter_edge::api::Result<giter_edge::api::Exit> { Ok(giter_edge::api::Exit::Done) }
