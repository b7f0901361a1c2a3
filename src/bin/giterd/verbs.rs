//! The verbs that do one thing and end: `sync`, `plan`, `status`.

use std::process::ExitCode;

use giter_edge::{
    api::{Error, Exit, Reason, Result},
    cli,
    reconcile::{plan::Decision, tick::Reach},
};

use crate::{
    args::Args,
    device::{Device, View},
    relay, show, stick, world,
};

/// One tick to the hub and back, or with what was carried here.
///
/// # Errors
///
/// What the tick failed with, after what it did was printed.
pub fn sync(args: &Args) -> Result<ExitCode> {
    let mut device = Device::open(&args.config)?;
    device.tells_at_once();
    let mut agent = device.start_agent()?;
    let error = match (&args.stick, &args.bundle) {
        (Some(root), _) => {
            let visit = stick::visit(&mut device, &mut agent, root, world::now())?;
            show::visit(&visit, args.output)?;
            visit.error()
        }
        (None, Some(bundle)) => {
            let visit = stick::take_bundle(&mut device, &mut agent, bundle, world::now());
            show::visit(&visit, args.output)?;
            visit.error()
        }
        (None, None) => {
            let tick = agent.tick(&mut device.ports(), Reach::Hub, world::now());
            let relayed = relay::carry(&mut device, &agent, true);
            device.link().close();
            show::sync(&tick, relayed.as_ref(), args.output)?;
            tick.error().or_else(|| relay::failed(relayed.as_ref()).map(Error::flattened))
        }
    };
    match error {
        Some(error) => Err(error),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// What a tick would change on the board.
///
/// # Errors
///
/// `NothingAccepted`; what keeps the device from being looked at.
pub fn plan(args: &Args) -> Result<ExitCode> {
    let mut view = View::open(&args.config)?;
    require_accepted(&view)?;
    let preview = view.agent.preview(&mut view.board);
    show::plan(&preview, args.output)?;
    let in_sync = preview.iter().all(|(_, decision)| matches!(decision, Ok(Decision::InSync)));
    Ok(cli::exit_code(if in_sync { Exit::Done } else { Exit::No }))
}

/// What the device knows of itself.
///
/// # Errors
///
/// `NothingAccepted`; what keeps the device from being looked at.
pub fn status(args: &Args) -> Result<ExitCode> {
    let mut view = View::open(&args.config)?;
    require_accepted(&view)?;
    let status = view.agent.look(&mut view.board, world::now());
    let ready = giter_edge::reconcile::report::is_ready(&status);
    show::status(&status, &view, args.output)?;
    Ok(cli::exit_code(if ready { Exit::Done } else { Exit::No }))
}

fn require_accepted(view: &View) -> Result<()> {
    if view.agent.record().tip.is_some() {
        return Ok(());
    }
    let what = match (&view.agent.record().refused, &view.refusal) {
        (Some(refused), _) => {
            format!("nothing was accepted yet; {} was refused: {}", refused.tip.short(), refused.message)
        }
        (None, Some(stick)) => format!("nothing was accepted yet; the last stick was refused: {}", stick.message),
        (None, None) => "nothing was accepted yet".into(),
    };
    Err(Error::new(Reason::NothingAccepted, what).hint("run 'giterd sync'"))
}
